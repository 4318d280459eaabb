"""Test recordings that also lie in the training split: the same utterance from another page.

Pages copy each other's samples. Loudness contours find such twins whatever the packing. A test that
stood before a page was gathered keeps its recordings: what is left out then is the page's copy.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.training.data.clips import Split
from monitor.training.data.store import AudioStore
from monitor.types import SAMPLE_RATE

STEP = 320
"""Samples between points of a contour: 20 ms."""
POINTS = 150
"""Length of a contour: 3 s."""
SLACK = 3
"""Points by which two pages may have cut the same recording differently."""
ALIKE = 0.97
"""Correlation of contours from which on two recordings are of one utterance by one voice.
Readers of one sentence stay below; different synthesisers of one recording do not, and count."""


def twins(speech: AudioStore, later: Collection[str] = ()) -> list[str]:
    """Paths of recordings to leave out, sorted, for twins of one label in training and in a test.

    Of a pair it is the test recording, but the training recording if only that is from a source
    of `later`.
    """
    kept = [i for i, row in enumerate(speech.rows) if row["samples"] > 1.5 * SAMPLE_RATE]
    found = set()
    for fake in (False, True):
        train, test = (
            [i for i in kept if speech.rows[i]["split"] == split and speech.rows[i]["fake"] is fake]
            for split in (Split.TRAIN, Split.TEST)
        )
        if not train or not test:
            continue
        late_train, late_test = (
            np.array([speech.rows[i]["source"] in later for i in rows]) for rows in (train, test)
        )
        known = _contours(speech, train, SLACK)
        for first in range(2 * SLACK + 1):
            alike = (_contours(speech, test, first) @ known.T) > ALIKE
            copies = alike & late_train & ~late_test[:, None]
            found |= {speech.rows[train[i]]["path"] for i in np.flatnonzero(copies.any(0))}
            shared = (alike & ~copies).any(1)
            found |= {speech.rows[test[i]]["path"] for i in np.flatnonzero(shared)}
    return sorted(found)


def _contours(speech: AudioStore, rows: Sequence[int], first: int) -> NDArray[np.float32]:
    """Unit-length contours of log level from point `first` on, shape (rows, POINTS)."""
    out = np.zeros((len(rows), POINTS), np.float32)
    for contour, index in zip(out, rows, strict=True):
        piece = speech.pcm(index)[first * STEP : (first + POINTS) * STEP].astype(np.float32)
        points = len(piece) // STEP
        frames = piece[: points * STEP].reshape(points, STEP)
        # The constant hides what lies below the noise of a codec.
        level = np.log(np.sqrt(np.mean(np.square(frames), axis=1)) + 30)
        contour[:points] = level - level.mean()
        contour /= np.linalg.norm(contour) + 1e-9
    return out
