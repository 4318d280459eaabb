#!/bin/sh
# FFmpeg 8.1 (PyAV 18.1.0), RTSP: sound and pictures whose sender reports are 7 s apart. Stamps of both
# begin at 0; at its first report the later track leaps by those 7 s. Where that is below 0 the demuxer
# gives 2**32 ticks more: for a while pictures of 90 kHz are stamped 47,700 s, in the 14th hour of a call
# that has just begun, and then negative. Nothing marks either leap.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import re
import socket
import struct
import threading
import time
from fractions import Fraction

import av
import numpy as np

APART, SECONDS = 7.0, 9
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "m=audio 0 RTP/AVP 0\r\na=control:0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:1\r\n"
)


def pictures():
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 10), Fraction(10)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "10"}
    for number in range(10 * SECONDS):
        grey = np.full((64, 64, 3), 60 + number, np.uint8)
        frame = av.VideoFrame.from_ndarray(grey, "rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 10)
        for packet in encoder.encode(frame):
            units = [n for n in re.split(b"\0\0\0\1|\0\0\1", bytes(packet)) if n]
            yield [n for n in units if n[0] & 31 != 6]


def serve(listener):
    peer = listener.accept()[0]

    def send(channel, data):
        peer.sendall(struct.pack(">cBH", b"$", channel, len(data)) + data)

    def report(channel, now, stamp, source):
        ntp = now + 2_208_988_800
        whole = int(ntp)
        send(channel, struct.pack(">BBHIIIIII", 128, 200, 6, source, whole & 0xFFFFFFFF,
                                  int((ntp - whole) * 2**32), stamp, 1, 1))

    data = b""
    while b"PLAY" not in data:
        data = peer.recv(65536)
        if not data:
            return
        number = re.search(rb"CSeq: (\d+)", data)[1].decode()
        head = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 1\r\n"
        if data.startswith(b"DESCRIBE"):
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}"
        elif data.startswith(b"SETUP"):
            asked = re.search(rb"interleaved=([\d-]+)", data)[1].decode()
            head += f"Transport: RTP/AVP/TCP;unicast;interleaved={asked}\r\n\r\n"
        else:
            head += "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n"
        peer.sendall(head.encode())
    began, shown, sequence = time.time(), pictures(), 0
    try:
        for tick in range(50 * SECONDS):
            time.sleep(max(0, began + tick / 50 - time.time()))
            now = began + tick / 50
            send(0, struct.pack(">BBHII", 128, 0, tick, 160 * tick, 7) + bytes([255] * 160))
            if tick % 5 == 0:
                units = next(shown)
                for place, unit in enumerate(units):
                    last = 128 if place == len(units) - 1 else 0
                    send(2, struct.pack(">BBHII", 128, last | 96, sequence, 1800 * tick, 9) + unit)
                    sequence += 1
            if tick % 100 == 10:
                report(1, now, 160 * tick, 7)
                report(3, now - APART, 1800 * tick, 9)
    except OSError:
        pass  # The client has seen enough.


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
url = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/"
options = {"rtsp_transport": "tcp", "analyzeduration": "1000000"}
with av.open(url, options=options, timeout=10) as container:
    stamps = [
        float(packet.pts * packet.time_base)
        for packet in container.demux(video=0)
        if packet.pts is not None
    ]
print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
print("pictures of 10 a second are stamped:", *(f"{s:.1f}" for s in stamps[::5]))
assert 0 <= stamps[0] < 1, stamps[0]
wrapped = [s for s in stamps if s > 40_000]
assert wrapped and abs(wrapped[0] - (2**32 / 90_000 - APART)) < 1, wrapped
below = [s for s in stamps if s < 0]
assert below and below[0] > -APART, below
PYTHON
