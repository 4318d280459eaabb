#!/bin/sh
# PyAV 18.1.0 (libavformat of FFmpeg 8.1): ADTS AAC states no length; container.duration is a guess by
# the bit rate of the beginning, and nothing in PyAV says that it is one. 40 s that begin with 30 s of
# silence are said to last over 400 s. Held against what was decoded, a whole recording looks cut off.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import av
import numpy as np

rng = np.random.default_rng(0)
samples = (0.3 * rng.standard_normal(40 * 16_000)).astype(np.float32)
samples[: 30 * 16_000] = 0
with av.open("call.aac", "w", format="adts") as container:
    stream = container.add_stream("aac", rate=16_000, layout="mono")
    for start in range(0, len(samples), 1024):
        piece = samples[None, start : start + 1024]
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
with av.open("call.aac") as container:
    stated = container.duration / av.time_base
    heard = sum(f.samples for f in container.decode(audio=0)) / 16_000
print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
print(f"{heard:.1f} s in the file, container.duration says {stated:.1f} s")
assert abs(heard - 40) < 0.3, heard
assert stated > 400, stated
PYTHON
