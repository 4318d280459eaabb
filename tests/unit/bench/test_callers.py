"""What a caller of the bench has to answer."""

import asyncio

from monitor.bench.callers import _answer


class Sent:
    """What was written, in place of a connection."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


async def test_pings_are_answered_and_the_rest_is_read_over() -> None:
    reader, sent = asyncio.StreamReader(), Sent()
    text = b"\x81\x7e\x01\x00" + b"x" * 256
    reader.feed_data(text + b"\x89\x04ping" + b"\x81\x02ok" + b"\x89\x00")
    reader.feed_eof()
    await asyncio.wait_for(_answer(reader, sent), 5)  # type: ignore[arg-type]
    mask = b"\0\0\0\0"
    assert sent.data == b"\x8a\x84" + mask + b"ping" + b"\x8a\x80" + mask
