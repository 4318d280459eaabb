"""CPU time of the voice scorer per window, and one file's against another's: `make bench-voice`.

A measurement, not a test. Both files score the same windows in turn, round by round, on one
thread, so that what else the machine does falls on both alike; the figure is CPU time of this
process by the kernel's account, which does not count what others use. The ratio of two files
measured in one run says more than either time.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from monitor.inference.catalogue import default_folder
from monitor.inference.onnx import Session
from monitor.types import SAMPLE_RATE

SECONDS = 3
WINDOWS = 10
"""Of one round, one after the other."""


def milliseconds(session: Session, window: np.ndarray) -> float:
    """CPU time of one window, mean of a round."""
    began = time.process_time()
    for _ in range(WINDOWS):
        session.run({session.inputs[0]: window})
    return (time.process_time() - began) / WINDOWS * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    shipped = default_folder() / "voice/model.onnx"
    parser.add_argument("files", type=Path, nargs="*", default=[shipped], help="ONNX files")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    sessions = [Session(path) for path in options.files]
    noise = np.random.default_rng(0).standard_normal((1, SECONDS * SAMPLE_RATE))
    window = noise.astype(np.float32) * np.float32(0.1)
    for session in sessions:
        milliseconds(session, window)
    taken = [[milliseconds(session, window) for session in sessions] for _ in range(options.rounds)]
    for path, times in zip(options.files, zip(*taken, strict=True), strict=True):
        ratio = statistics.median(time / row[0] for time, row in zip(times, taken, strict=True))
        low, middle, high = np.quantile(times, [0.1, 0.5, 0.9])
        print(f"{path}: {middle:.2f} ms ({low:.2f}-{high:.2f}), {ratio:.2f} of the first file's")
    print(json.dumps({"files": [str(path) for path in options.files], "milliseconds": taken}))


if __name__ == "__main__":
    main()
