"""How well a network does while it learns: on forgeries of people it never saw, and on dev."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.training.face.forgery.network import ForgeryNetwork
from monitor.training.face.forgery.pairs import Pair
from monitor.training.face.pictures.album import FaceFile
from monitor.training.face.pictures.looks import Looks
from monitor.training.measure.metrics import area_under_curve

_BATCH = 16
_EACH = 8
"""Crops of one dev file at most."""


class SyntheticJudge:
    """Pairs of held-out people; the one figure that stops training early.

    Real forgeries of the dev set are measured beside it, and choose nothing here.
    """

    def __init__(self, pairs: Sequence[Pair], dev: Looks, files: Sequence[FaceFile]) -> None:
        self._faces = np.concatenate([pair.faces for pair in pairs]).transpose(0, 3, 1, 2)
        thin = np.concatenate([_thinned(dev.number == i) for i in range(len(files))])
        self._dev = dev.crops[thin]
        self._file = dev.number[thin]
        self._files = files

    def __call__(self, network: ForgeryNetwork) -> dict[str, float]:
        """`objective` (1 - AUC), `synthetic` and `dev_image`, `dev_video`: AUC of files."""
        logit = scores(network, self._faces)
        found = area_under_curve(logit[::2], logit[1::2])
        dev = scores(network, self._dev)
        result = {"objective": 1 - found, "synthetic": found}
        for kind in ("image", "video"):
            means: dict[bool, list[float]] = {False: [], True: []}
            for number, file in enumerate(self._files):
                if file.kind == kind and (self._file == number).any():
                    means[file.fake].append(float(dev[self._file == number].mean()))
            result[f"dev_{kind}"] = area_under_curve(means[False], means[True])
        return result


def scores(network: ForgeryNetwork, faces: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Logits of crops (crops, 3, 224, 224)."""
    found = []
    with torch.no_grad():
        for i in range(0, len(faces), _BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(faces[i : i + _BATCH])).float() / 255
            found.append(network(batch)[0].numpy())
    return np.concatenate(found).astype(np.float64)


def _thinned(rows: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Some of the rows, evenly."""
    numbers = np.flatnonzero(rows)
    return numbers[:: max(1, -(-len(numbers) // _EACH))]
