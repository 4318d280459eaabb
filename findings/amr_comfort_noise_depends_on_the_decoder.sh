#!/bin/sh
# PyAV 18.1.0 (libavcodec of FFmpeg 8.1): an AMR-NB frame of comfort noise (frame type 8, a SID), which
# every telephone sends in a pause, is refused by FFmpeg's own decoder `amrnb` ("patches welcome"),
# and so is a frame of type 15, no data. `libopencore_amrnb` in the same wheel gives 20 ms for each.
# av.open picks the first one, so that a recording of a telephone ends at its first pause for whoever
# stops at an error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import av

SPEECH, COMFORT_NOISE, NO_DATA = bytes([0x3C]) + bytes(31), bytes([0x44]) + bytes(5), bytes([0x7C])


def decoded(name: str, packet: bytes) -> int | str:
    decoder = av.CodecContext.create(name, "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    try:
        return sum(frame.samples for frame in decoder.decode(av.Packet(packet)))
    except av.error.FFmpegError as error:
        return type(error).__name__


found = {
    name: [decoded(name, packet) for packet in (SPEECH, COMFORT_NOISE, NO_DATA)]
    for name in ("amrnb", "libopencore_amrnb")
}
print("PyAV", av.__version__, "libavcodec", av.library_versions["libavcodec"])
print("samples of speech, comfort noise, no data:", found)
assert found["amrnb"] == [160, "PatchWelcomeError", "InvalidDataError"], found
assert found["libopencore_amrnb"] == [160, 160, 160], found
assert av.Codec("amrnb", "r").name == "amrnb"
PYTHON
