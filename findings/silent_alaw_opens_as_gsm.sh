#!/bin/sh
# PyAV 18.1.0 (libavformat of FFmpeg 8.1): a headerless A-law recording (`call.al`) that begins with
# digital silence, bytes of 0xD5, is opened as GSM 06.10, whose frames begin with the nibble 0xD: ten
# seconds of a call are 48 seconds of noise. The name's ending does not outweigh that. The same file
# with the format named is right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import av


def heard(**how: object) -> tuple[str, float]:
    with av.open("call.al", **how) as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(stream))
        return container.format.name, samples / stream.rate


with open("call.al", "wb") as file:
    file.write(bytes([0xD5]) * 79_200)
guessed, named = heard(), heard(format="alaw", options={"sample_rate": "8000"})
print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
print("9.9 s of silent A-law; guessed:", guessed, "named:", named)
assert guessed[0] == "gsm", guessed
assert abs(guessed[1] - 79_200 / 33 * 160 / 8000) < 0.1, guessed
assert named == ("alaw", 9.9), named
PYTHON
