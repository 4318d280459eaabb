"""The ring keeps the last seconds, within its bounds, and always begins with a key frame."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from monitor.evidence.ring import Ring
from monitor.types.packet import EncodedPacket, Encoding

SOUND, PICTURE = Encoding("audio", "opus", 48_000, 2), Encoding("video", "vp8")
MANY = 10**9


def sound(at: float, size: int = 100) -> EncodedPacket:
    return EncodedPacket("remote", SOUND, bytes(size), at, 0.02, True)


def picture(at: float, key: bool, size: int = 1000) -> EncodedPacket:
    return EncodedPacket("remote", PICTURE, bytes(size), at, 0.0, key)


def held(ring: Ring, kind: str) -> list[EncodedPacket]:
    return [p for p in ring.snapshot() if p.encoding.kind == kind]


def test_sound_is_cut_to_the_last_seconds() -> None:
    ring = Ring(10.0, MANY)
    for i in range(5000):
        ring.push(sound(i * 0.02))
    times = [p.time for p in ring.snapshot()]
    assert 99.98 - times[0] <= 10.0 + 1e-9
    assert len(times) == 501
    assert ring.size == 100 * len(times)


def test_pictures_begin_with_a_key_frame_at_or_before_the_horizon() -> None:
    ring = Ring(10.0, MANY)
    for i in range(1000):
        ring.push(picture(i * 0.1, key=i % 40 == 0))
    kept = held(ring, "video")
    assert kept[0].key
    assert 99.9 - 10.0 - 4.0 <= kept[0].time <= 99.9 - 10.0
    assert len(kept) == round((99.9 - kept[0].time) * 10) + 1


def test_pictures_before_the_first_key_frame_are_not_kept() -> None:
    ring = Ring(10.0, MANY)
    ring.push(picture(0.0, key=False))
    assert ring.snapshot() == ()
    assert ring.size == 0


def test_pictures_give_way_to_sound_when_bytes_run_out() -> None:
    ring = Ring(60.0, 30_000)
    for i in range(2000):
        ring.push(sound(i * 0.02))
        if i % 5 == 0:
            ring.push(picture(i * 0.02, key=i % 100 == 0))
        assert ring.size <= 30_000
    ring.push(picture(40.0, key=False, size=29_000))
    assert len(held(ring, "audio")) >= 200
    assert ring.size <= 30_000


def test_pictures_of_a_camera_that_is_off_are_forgotten() -> None:
    ring = Ring(5.0, MANY)
    ring.push(picture(0.0, key=True))
    for i in range(500):
        ring.push(sound(i * 0.02))
    assert held(ring, "video") == []


@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.floats(0, 3), st.integers(1, 3000)),
        max_size=200,
    )
)
def test_the_bounds_hold_whatever_comes(steps: list[tuple[bool, bool, float, int]]) -> None:
    ring = Ring(4.0, 9000)
    at = 0.0
    for is_sound, key, step, size in steps:
        at += step
        ring.push(sound(at, size) if is_sound else picture(at, key, size))
        kept = ring.snapshot()
        assert ring.size == sum(len(p.payload) for p in kept) <= 9000
        pictures = held(ring, "video")
        assert not pictures or pictures[0].key
        assert all(p.time >= at - 4.0 for p in held(ring, "audio"))


def test_packets_come_from_several_threads() -> None:
    ring = Ring(1000.0, MANY)

    def push() -> None:
        for i in range(2000):
            ring.push(sound(i * 0.02))

    threads = [threading.Thread(target=push) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ring.snapshot()
    for thread in threads:
        thread.join(5)
    assert ring.size == 3 * 2000 * 100
