"""Streams a recording as a call centre's platform would: 16-bit samples by WebSocket.

    pip install av websockets
    TOKEN=... python send_recording.py call.wav ws://127.0.0.1:8080

The call appears in the console, and is judged while it is sent.
"""

import asyncio
import os
import sys
import time

import av
import websockets

RATE = 16_000


def packets(path: str) -> list[bytes]:
    """20 ms of mono, little-endian, each."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=RATE // 50)
    with av.open(path) as recording:
        frames = [f for frame in recording.decode(audio=0) for f in resampler.resample(frame)]
    return [bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames]


async def send(path: str, monitor: str) -> None:
    """Open a stream and send the sound at its own pace; the call ends with the connection."""
    url = f"{monitor}/telephony/freeswitch?rate={RATE}&call=example"
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    async with websockets.connect(url, additional_headers=headers, proxy=None) as stream:
        began = time.monotonic()
        for number, packet in enumerate(packets(path)):
            await asyncio.sleep(began + number / 50 - time.monotonic())
            await stream.send(packet)


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], sys.argv[2]))
