"""G.711 tables against FFmpeg's."""

from typing import cast

import av
import numpy as np
import pytest

from monitor.ingest.codecs.g711 import Codec, decode


@pytest.mark.parametrize(("codec", "name"), [(Codec.MULAW, "pcm_mulaw"), (Codec.ALAW, "pcm_alaw")])
def test_every_code_decodes_as_in_ffmpeg(codec: Codec, name: str) -> None:
    codes = bytes(range(256))
    context = cast(av.AudioCodecContext, av.CodecContext.create(name, "r"))
    context.sample_rate, context.layout = 8000, "mono"
    (frame,) = context.decode(av.Packet(codes))
    assert decode(codec, codes).tolist() == frame.to_ndarray().reshape(-1).tolist()


def test_linear_samples_are_little_endian() -> None:
    assert decode(Codec.L16, b"\x01\x00\xff\xff").tolist() == [1, -1]
    with pytest.raises(ValueError, match="buffer"):
        decode(Codec.L16, b"\x01")
    assert decode(Codec.L16, b"\x01\x00").dtype == np.int16
