"""A recording replayed through the pipeline as fast as it is judged."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from monitor.ingest.codecs.convert import VideoSampler
from monitor.ingest.recording.container import find_parts, opened
from monitor.ingest.recording.playback import Playback
from monitor.ingest.recording.voices import heard_track
from monitor.runtime.blocking import run_in_own_thread
from monitor.runtime.channel import ChannelClosedError
from monitor.types import ChannelChoice
from monitor.types.protocols import Intake, SourceError
from monitor.types.sampling import Sampling


class FileSource:
    """Any container PyAV opens, or several in one file.

    The first audio stream that is not silent and the first video stream are one participant, or
    several by the audio's channels.
    """

    ingest = "file"
    live = False

    def __init__(
        self,
        path: Path,
        participant: str,
        sampling: Sampling,
        video_width: int,
        progress: Callable[[float, float], None] | None = None,
        channels: ChannelChoice = ChannelChoice.MIX,
    ) -> None:
        """`progress(done, total)` hears call seconds, from the decode thread; total may be 0."""
        self._path = path
        self._participant = participant
        self._sampling = sampling
        self._video_width = video_width
        self._progress = progress
        self._channels = channels
        self._stop = threading.Event()

    async def run(self, intake: Intake) -> str:
        """Replay the file; return `ended` or `truncated`."""
        try:
            return await run_in_own_thread("file", partial(self._replay, intake))
        finally:
            self._stop.set()

    def _replay(self, intake: Intake) -> str:
        name = self._path.name
        sampler = VideoSampler(self._sampling, self._video_width)
        most = sampler.most_pixels
        playback = Playback(
            name, self._participant, intake, sampler, self._stop, self._progress, self._channels
        )
        try:
            for number, part in enumerate(find_parts(self._path)):
                try:
                    with opened(self._path, part, most) as container:
                        # What is looked at is not played any more.
                        several = len(container.streams.audio) > 1
                        track = heard_track(container) if several else None
                        if not several:
                            playback.play(container, part)
                    if several:
                        with opened(self._path, part, most) as container:
                            playback.play(container, part, track)
                except SourceError as error:
                    if not number:
                        raise
                    playback.pass_over(number + 1, error)
                if self._stop.is_set():
                    return "stopped"
        except ChannelClosedError:
            return "stopped"
        return playback.finish()
