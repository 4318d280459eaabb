"""The short queue of pictures and when a key frame is asked for; without any decoding."""

import pytest

from monitor.ingest.codecs.video_codec import is_key_frame
from monitor.ingest.rtp.aiortc_adapter import EncodedFrame
from monitor.ingest.rtp.video_receiver import CAPACITY, VideoReceiver
from monitor.types.packet import EncodedPacket
from monitor.types.sampling import Sampling

KEY, DELTA = b"\x10\0\0", b"\x11\0\0"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("monitor.ingest.rtp.video_receiver.time.monotonic", lambda: now[0])
    return now


def frame(number: int, data: bytes = DELTA) -> EncodedFrame:
    return EncodedFrame("vp8", data, number * 3000, 1, 100 + number / 30)


def test_key_frames_are_recognised() -> None:
    assert is_key_frame("vp8", KEY)
    assert not is_key_frame("vp8", DELTA)
    assert is_key_frame("h264", b"\0\0\0\1\x67abc\0\0\0\1\x65def")
    assert is_key_frame("h264", b"\0\0\0\1\x09\0\0\0\1\x65def")
    assert not is_key_frame("h264", b"\0\0\0\1\x41abc")


def test_a_full_queue_is_emptied_and_goes_on_at_a_key_frame(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    for number in range(CAPACITY + 1):
        sight.push(frame(number), 100.0)
    assert sight.counts.dropped == CAPACITY + 1
    assert sight.wants_key_frame(100.0, lambda: None)
    sight.push(frame(40), 100.0)
    assert sight.counts.skipped == 1
    sight.push(frame(41, KEY), 100.0)
    sight.push(frame(42), 100.0)
    assert len(sight._queue) == 2


def test_pictures_are_kept_as_they_came_even_when_the_decoder_is_late(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    kept: list[EncodedPacket] = []
    sight.keep = kept.append
    for number in range(CAPACITY + 1):
        sight.push(frame(number, KEY if number == 0 else DELTA), 100.0)
    sight.push(frame(CAPACITY + 1), 100.0)
    assert len(kept) == CAPACITY + 1
    assert [p.key for p in kept] == [True] + [False] * CAPACITY
    assert kept[0].encoding.codec == "vp8"
    assert kept[-1].time == pytest.approx(CAPACITY / 30)


def test_a_sender_that_sends_no_key_frame_is_decoded_all_the_same(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    sight.push(frame(0), 100.0)
    sight.lost()
    sight.push(frame(1), 100.0)
    assert len(sight._queue) == 1
    sight.push(frame(30 * 6), 100.0)
    assert len(sight._queue) == 2


def test_a_freeze_asks_once_a_second_and_only_while_packets_come(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    forgotten: list[None] = []

    def asks(packet_at: float | None) -> bool:
        return sight.wants_key_frame(packet_at, lambda: forgotten.append(None))

    assert not asks(None)
    assert not asks(100.0)
    clock[0] = 100.9
    assert not asks(100.9)
    clock[0] = 101.2
    assert asks(101.1)
    assert len(forgotten) == 1
    clock[0] = 101.5
    assert not asks(101.5)
    clock[0] = 102.3
    assert asks(102.3)


def test_a_muted_camera_is_not_asked(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    sight.wants_key_frame(100.0, lambda: None)
    clock[0] = 110.0
    assert not sight.wants_key_frame(100.5, lambda: None)


def test_a_picture_that_cannot_be_decoded_asks(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    sight._failed = True
    assert sight.wants_key_frame(100.0, lambda: None)
    clock[0] = 100.5
    sight._failed = True
    assert not sight.wants_key_frame(100.5, lambda: None)


def test_on_a_full_machine_only_key_frames_are_decoded(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    kept: list[EncodedPacket] = []
    sight.keep = kept.append
    sight.thin(1.0)
    # Thirty pictures a second; of its own accord the sender makes each tenth a key frame.
    for number in range(60):
        sight.push(frame(number, KEY if number % 10 == 0 else DELTA), 100.0)
    assert [round((f.arrived - 100) * 30) for f, _ in sight._queue] == [0, 30]
    assert sight.counts.thinned == 58
    assert len(kept) == 60


def test_key_frames_are_asked_for_as_often_as_wanted(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    sight.thin(2.0)
    asked: list[int] = []
    for number in range(300):
        clock[0] = 100 + number / 30
        # The sender heeds, 200 ms later.
        heeds = bool(asked) and number == asked[-1] + 6
        sight.push(frame(number, KEY if heeds else DELTA), 100.0)
        sight._queue.clear()
        if sight.wants_key_frame(clock[0], lambda: None):
            asked.append(number)
    assert asked == [0, 66, 132, 198, 264]


def test_a_sender_that_makes_enough_key_frames_is_not_asked(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    sight.thin(2.0)
    for number in range(300):
        clock[0] = 100 + number / 30
        sight.push(frame(number, KEY if number % 30 == 0 else DELTA), 100.0)
        sight._queue.clear()
        assert not sight.wants_key_frame(clock[0], lambda: None)


def test_going_back_to_every_picture_begins_at_a_key_frame(clock: list[float]) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    sight.thin(10.0)
    sight.push(frame(0, KEY), 100.0)
    sight.push(frame(1), 100.0)
    sight.thin(None)
    sight.push(frame(2), 100.0)
    assert sight.wants_key_frame(100.0, lambda: None)
    sight.push(frame(3, KEY), 100.0)
    sight.push(frame(4), 100.0)
    assert [f.timestamp // 3000 for f, _ in sight._queue] == [0, 3, 4]


@pytest.mark.parametrize(("codec", "skipped"), [("vp8", 0), ("vp9", 1), ("av1", 1)])
def test_without_what_it_refers_to_a_picture_of_vp9_or_av1_is_never_shown(
    clock: list[float], codec: str, skipped: int
) -> None:
    sight = VideoReceiver("remote", Sampling.steady(5), 640)
    sight.lost()
    # Long after: of VP8 a sender that heeds no request is decoded all the same.
    late = EncodedFrame(codec, {"vp8": DELTA, "vp9": b"\x86", "av1": b"\x32\0"}[codec], 0, 1, 120)
    sight.push(late, 100.0)
    assert sight.counts.skipped == skipped
    key = {"vp8": KEY, "vp9": b"\x82", "av1": b"\x0a\0"}[codec]
    sight.push(EncodedFrame(codec, key, 3000, 1, 121), 100.0)
    assert sight.counts.skipped == skipped
    assert len(sight._queue) == 2 - skipped
