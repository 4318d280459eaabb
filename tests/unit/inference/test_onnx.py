"""A session computes what ONNX Runtime does as it comes, and keeps nothing of it."""

import numpy as np
import onnxruntime as ort
import pytest

from monitor.inference.catalogue import Catalogue, default_folder
from monitor.inference.onnx import Session


@pytest.mark.parametrize("look", ["path", "second"])
def test_scores_are_those_of_a_session_with_an_arena(look: str) -> None:
    path = getattr(Catalogue(default_folder()).verified("voice"), look)
    session = Session(path)
    plain = ort.SessionOptions()
    plain.intra_op_num_threads = 1
    assert plain.enable_cpu_mem_arena
    other = ort.InferenceSession(str(path), plain, providers=["CPUExecutionProvider"])
    for seed, seconds in ((1, 3), (2, 3), (3, 2), (4, 3)):
        sound = np.random.default_rng(seed).normal(0, 0.1, (1, seconds * 16_000))
        feeds = {session.inputs[0]: sound.astype(np.float32)}
        for one, another in zip(session.run(feeds), other.run(None, feeds), strict=True):
            np.testing.assert_array_equal(one, another)
