"""What lies between two connections of one source is lost, and nothing else."""

import numpy as np

from monitor.ingest.connection.bridge import Bridge
from monitor.types import SAMPLE_RATE, AudioFrame, Gap, LostReason, Span, Tracks, VideoFrame
from monitor.types.protocols import Media
from tests.flow.webrtc import MemoryIntake

PICTURE = np.zeros((2, 2, 3), np.uint8)


def sound(start: float, seconds: float = 0.25) -> AudioFrame:
    return AudioFrame("remote", start, np.zeros(round(seconds * SAMPLE_RATE), np.float32))


def picture(time: float) -> VideoFrame:
    return VideoFrame("remote", time, lambda: PICTURE, 0.1)


async def handed_over(*connections: list[Media], sound: bool = True) -> tuple[Bridge, list[Gap]]:
    intake, bridge = MemoryIntake(), Bridge()
    for connection in connections:
        over = bridge.over(intake)
        await over.put(Tracks("remote", sound, True))
        for media in connection:
            if isinstance(media, VideoFrame):
                over.put_threadsafe(media)
            else:
                await over.put(media)
    frames = [m for m in intake.media if isinstance(m, AudioFrame | VideoFrame)]
    assert frames == [m for connection in connections for m in connection]
    return bridge, intake.gaps


async def test_nothing_of_a_sound_is_lost_that_comes_after_a_later_picture() -> None:
    bridge, gaps = await handed_over(
        [sound(0.0), picture(0.2)], [picture(2.9), picture(3.1), sound(3.0), sound(3.25)]
    )
    assert gaps == [Gap("remote", Span(0.25, 3.0), LostReason.RECONNECT)]
    assert bridge.until == 3.5


async def test_without_sound_pictures_are_the_measure() -> None:
    bridge, gaps = await handed_over([picture(0.0), picture(0.2)], [picture(3.0)], sound=False)
    assert gaps == [Gap("remote", Span(0.2, 3.0), LostReason.RECONNECT)]
    assert bridge.until == 3.0


async def test_a_connection_of_pictures_alone_is_no_end_of_the_loss() -> None:
    bridge, gaps = await handed_over([sound(0.0)], [picture(2.0)], [picture(4.0), sound(4.0)])
    assert gaps == [Gap("remote", Span(0.25, 4.0), LostReason.RECONNECT)]


async def test_pictures_count_as_reached() -> None:
    bridge, gaps = await handed_over([sound(0.0)], [picture(2.0)])
    assert (bridge.until, gaps) == (2.0, [])


async def test_tracks_are_told_once() -> None:
    intake, bridge = MemoryIntake(), Bridge()
    for _ in range(2):
        await bridge.over(intake).put(Tracks("remote", True, True))
    assert intake.media == [Tracks("remote", True, True)]
