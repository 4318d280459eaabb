#!/bin/sh
# PyAV 18.1.0 (libswresample of FFmpeg 8.1): the same voice on both channels of a stereo frame comes
# out of a mix to mono as it went in where the output is 16-bit, and 1.41 times as loud, beyond full
# scale, where it is float. The mix matrix is normalised for integer output alone.
# Whoever clips to [-1, 1] afterwards distorts every loud stereo recording, and Opus by RTP too, which
# FFmpeg decodes as stereo.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import av
import numpy as np

tone = (0.9 * np.sin(np.arange(16_000) / 8)).astype(np.float32)
peaks = {}
for output in ("s16", "flt"):
    frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
    frame.sample_rate = 16_000
    resampler = av.AudioResampler(format=output, layout="mono", rate=16_000)
    mono = np.concatenate([f.to_ndarray()[0] for f in resampler.resample(frame)])
    peaks[output] = float(np.abs(mono).max()) / (32_767 if output == "s16" else 1)
print("PyAV", av.__version__, "libswresample", av.library_versions["libswresample"])
print("both channels peak at 0.90; mono peaks at", {k: round(v, 2) for k, v in peaks.items()})
assert abs(peaks["s16"] - 0.9) < 0.01, peaks
assert abs(peaks["flt"] - 0.9 * 2**0.5) < 0.01, peaks
PYTHON
