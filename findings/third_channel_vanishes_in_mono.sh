#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): a WAV file of three channels without a channel mask, as recorders of
# conferences write them, has the layout "3 channels". Mixed to mono the third one is left out: FFmpeg
# takes unnamed three for left, right and bass, and bass is no part of a mix. Who speaks on it is
# digital silence, without a warning.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import struct

import av
import numpy as np

voices = np.zeros((16_000, 3), "<i2")
voices[:, 2] = 9830 * np.sin(np.arange(16_000) / 8)
data = voices.tobytes()
with open("three.wav", "wb") as file:
    file.write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt ")
    file.write(struct.pack("<IHHIIHH", 16, 1, 3, 16_000, 96_000, 6, 16))
    file.write(b"data" + struct.pack("<I", len(data)) + data)
with av.open("three.wav") as container:
    stream = container.streams.audio[0]
    layout = stream.layout.name
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    frames = [f for frame in container.decode(stream) for f in resampler.resample(frame)]
peak = max(float(np.abs(frame.to_ndarray()).max()) for frame in frames)
print("PyAV", av.__version__, "libswresample", av.library_versions["libswresample"])
print(f"layout {layout!r}; a tone of 0.30 on the third channel peaks at {peak:.2f} in mono")
assert (layout, peak) == ("3 channels", 0.0), (layout, peak)
PYTHON
