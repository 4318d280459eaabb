"""Streams a WAV file as a call centre's platform would: mu-law by WebSocket, in Twilio's words.

    pip install av websockets
    TOKEN=... python send_recording.py call.wav ws://127.0.0.1:8080/telephony/twilio

The call appears in the console, and is judged while it is sent.
"""

import asyncio
import base64
import json
import os
import sys

import av
import websockets


def packets(path: str) -> list[bytes]:
    """20 ms of 8 kHz mu-law each."""
    encoder = av.CodecContext.create("pcm_mulaw", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    resampler = av.AudioResampler(format="s16", layout="mono", rate=8000, frame_size=160)
    with av.open(path) as recording:
        frames = [f for frame in recording.decode(audio=0) for f in resampler.resample(frame)]
    return [bytes(packet) for frame in frames for packet in encoder.encode(frame)]


async def send(path: str, url: str) -> None:
    """Open a stream, send the sound at its own pace, and say that it is over."""
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    async with websockets.connect(url, additional_headers=headers) as stream:
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {"streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"], "mediaFormat": form}
        await stream.send(json.dumps({"event": "start", "streamSid": "MZ1", "start": start}))
        for number, packet in enumerate(packets(path)):
            media = {
                "track": "inbound",
                "timestamp": str(20 * number),
                "payload": base64.b64encode(packet).decode(),
            }
            await stream.send(json.dumps({"event": "media", "streamSid": "MZ1", "media": media}))
            await asyncio.sleep(0.02)
        await stream.send(json.dumps({"event": "stop", "streamSid": "MZ1"}))


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], sys.argv[2]))
