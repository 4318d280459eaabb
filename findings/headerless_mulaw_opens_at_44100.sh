#!/bin/sh
# PyAV 18.1.0 (libavformat of FFmpeg 8.1): a headerless mu-law recording (`call.ul`), which can hardly
# be anything but a telephone's at 8 kHz, is opened at 44.1 kHz without a word: a voice at 5.5 times
# its speed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import av

with open("call.ul", "wb") as file:
    file.write(bytes([0xFF, 0x80]) * 40_000)
with av.open("call.ul") as container:
    found = container.format.name, container.streams.audio[0].rate
    seconds = container.duration / av.time_base
print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
print(f"10 s at 8 kHz open as {found}, {seconds:.2f} s")
assert found == ("mulaw", 44_100), found
PYTHON
