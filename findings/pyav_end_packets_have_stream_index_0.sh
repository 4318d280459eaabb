#!/bin/sh
# PyAV 18.1.0: the empty packet by which demux says that a stream is over has that stream as `stream`, but
# `stream_index` is 0 whichever it is. Who keeps decoders by `stream_index` ends the wrong one, or finds
# none: of a file whose second stream alone is read, the last packet claims to be of the first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import av
import numpy as np

with av.open("two.mkv", "w") as container:
    streams = [container.add_stream("pcm_s16le", rate=8_000, layout="mono") for _ in range(2)]
    for start in range(0, 8_000, 800):
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), "<i2"), "s16", "mono")
            frame.sample_rate, frame.pts = 8_000, start
            container.mux(stream.encode(frame))
with av.open("two.mkv") as container:
    found = [(p.size, p.stream.index, p.stream_index) for p in container.demux(container.streams[1])]
print("PyAV", av.__version__)
print("size, stream.index, stream_index:", found[0], "...", found[-1])
assert {(index, told) for size, index, told in found if size} == {(1, 1)}, found
assert found[-1] == (0, 1, 0), found[-1]
PYTHON
