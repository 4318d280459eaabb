#!/bin/sh
# PyAV 18.1.0 (libavcodec of FFmpeg 8.1): a JPEG that was cut in half decodes to a picture of full size
# without an error, and frame.is_corrupt is False; what was cut off is made up. With the option
# err_detect=explode the decoder refuses it. Meeting bots send faces as JPEG.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np

encoder = av.CodecContext.create("mjpeg", "w")
encoder.width, encoder.height, encoder.pix_fmt = 640, 360, "yuvj420p"
encoder.time_base = Fraction(1, 5)
image = (np.add.outer(np.arange(360), np.arange(640)) % 256).astype(np.uint8)[..., None]
frame = av.VideoFrame.from_ndarray(image.repeat(3, 2), "rgb24").reformat(format="yuvj420p")
whole = b"".join(bytes(packet) for packet in encoder.encode(frame))
half = whole[: len(whole) // 2]


def shown(options: dict[str, str]) -> str:
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = options
    try:
        (picture,) = decoder.decode(av.Packet(half))
    except av.error.FFmpegError as error:
        return type(error).__name__
    return f"{picture.width}x{picture.height}, is_corrupt {picture.is_corrupt}"


print("PyAV", av.__version__, "libavcodec", av.library_versions["libavcodec"])
print(f"{len(half)} of {len(whole)} bytes, by default: {shown({})}")
print(f"with err_detect=explode: {shown({'err_detect': 'explode'})}")
assert shown({}) == "640x360, is_corrupt False"
assert shown({"err_detect": "explode"}) == "InvalidDataError"
PYTHON
