"""What GStreamer's `rtpjitterbuffer` makes of packets: `python3 gstreamer_clock.py < JSON > JSON`.

Runs by the system's own Python, for its bindings (python3-gi). In: a list of calls, each a list of
[arrival in seconds, sequence number, stamp, SSRC], the clock of 48,000 a second. Out: for each call
a list of [sequence number, PTS in seconds, seconds from arrival to leaving the buffer]. All calls
run side by side in real time.
"""

import json
import struct
import sys
import threading
import time
from functools import partial

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

LATENCY_MS = 200
"""Its default."""


class Call:
    """One stream through a buffer of its own."""

    def __init__(self, packets):
        self.packets = packets
        self.out = []
        self.arrived = {}
        self.pipeline = Gst.parse_launch(
            "appsrc name=in is-live=true format=time do-timestamp=true "
            "caps=application/x-rtp,media=audio,clock-rate=48000,encoding-name=OPUS,payload=96 ! "
            f"rtpjitterbuffer latency={LATENCY_MS} ! "
            "appsink name=out emit-signals=true sync=false"
        )
        self.pipeline.get_by_name("out").connect("new-sample", self.take)
        self.pipeline.set_state(Gst.State.PLAYING)

    def take(self, sink):
        """Note what leaves the buffer."""
        buffer = sink.emit("pull-sample").get_buffer()
        head = buffer.extract_dup(0, 12)
        number = struct.unpack(">H", head[2:4])[0]
        now = time.monotonic()
        self.out.append([number, buffer.pts / Gst.SECOND, now - self.arrived[number]])
        return Gst.FlowReturn.OK

    def play(self, begin):
        """Push every packet when it is due."""
        source = self.pipeline.get_by_name("in")
        for at, number, stamp, ssrc in self.packets:
            time.sleep(max(0.0, begin + at - time.monotonic()))
            self.arrived[number % 65536] = time.monotonic()
            data = struct.pack(">BBHII", 0x80, 96, number % 65536, stamp % 2**32, ssrc) + bytes(40)
            source.emit("push-buffer", Gst.Buffer.new_wrapped(data))
        time.sleep(1.0)


def main():
    """Play all calls side by side."""
    Gst.init(None)
    calls = [Call(packets) for packets in json.load(sys.stdin)]
    begin = time.monotonic() + 1.0
    threads = [threading.Thread(target=partial(call.play, begin)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for call in calls:
        call.pipeline.set_state(Gst.State.NULL)
    json.dump([call.out for call in calls], sys.stdout)


main()
