"""Encoded pictures: where decoding can begin, and what is no picture."""

from fractions import Fraction

import av
import numpy as np
import pytest

from monitor.ingest.codecs.video_codec import decoder, is_key_frame


def jpeg(width: int = 640, height: int = 360) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 5)
    shade = np.add.outer(np.arange(height), np.arange(width)) % 256
    image = shade.astype(np.uint8)[..., None].repeat(3, 2)
    frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in encoder.encode(frame))


def test_every_jpeg_can_be_decoded_alone() -> None:
    whole = jpeg()
    assert is_key_frame("mjpeg", whole)
    made = decoder("mjpeg", 640 * 360)
    for _ in range(2):
        (picture,) = made.decode(av.Packet(whole))
        assert (picture.width, picture.height) == (640, 360)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_picture_that_was_cut_is_no_picture(share: float) -> None:
    whole = jpeg()
    made = decoder("mjpeg", 640 * 360)
    with pytest.raises(av.error.InvalidDataError):
        made.decode(av.Packet(whole[: round(share * len(whole))]))
    # And the next one is.
    assert len(made.decode(av.Packet(whole))) == 1


def test_a_picture_of_too_many_pixels_is_not_made() -> None:
    (picture,) = decoder("mjpeg", 640 * 360).decode(av.Packet(jpeg()))
    assert picture.width == 640
    with pytest.raises(av.error.FFmpegError):
        decoder("mjpeg", 640 * 360).decode(av.Packet(jpeg(656, 368)))
