"""What a face costs in CPU time, part by part: `make bench-face`.

A measurement, not a test: nothing here asserts on time, and the figures are those of the machine.

Every part does what a call makes it do, on one thread, in turns: each round runs all parts once, so
that whatever else the machine does falls on all alike. The clock is the thread's CPU time, which
does not count what others use; the figure is the median. Ratios are to the voice network on one
window, measured in the same rounds. Pictures are noise around a filmed-size face: what the parts
cost does not depend on what they see, apart from the cascade, which is not in the table.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from monitor.analysis.alignment import align
from monitor.analysis.landmarker import INPUT_SIDE, Landmarker
from monitor.calls.cues import CROPS_HZ
from monitor.calls.face import LOOKS_HZ
from monitor.detectors.face import FaceDetector
from monitor.inference.catalogue import Catalogue, default_folder
from monitor.inference.onnx import Session
from monitor.types.sampling import Sampling

REFERENCE = "voice network, a window of 3 s"
FIVE = np.array([[280, 200], [360, 200], [320, 250], [290, 290], [350, 290]], np.float64)
"""Eyes, nose and corners of a mouth, pixels of a picture of 640 by 480."""
_BATCH = 4


def parts(folder: Path) -> dict[str, tuple[Callable[[], object], int]]:
    """What is timed, and how many faces or windows one run of it does."""
    catalogue = Catalogue(folder)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (480, 640, 3), np.uint8)
    crop = align(image, FIVE)
    several = np.stack([crop] * _BATCH)
    face = FaceDetector(catalogue.verified("face"))
    landmarker = Landmarker(catalogue.verified("landmarks"))
    mesh = Session(catalogue.verified("landmarks").path)
    small = rng.random((1, 3, INPUT_SIDE, INPUT_SIDE), np.float32)
    voice = Session(catalogue.verified("voice").path)
    sound = rng.standard_normal((1, 48_000)).astype(np.float32) * np.float32(0.1)
    return {
        REFERENCE: (lambda: voice.run({voice.inputs[0]: sound}), 1),
        "face network, one face": (lambda: face.look(crop[None]), 1),
        f"face network, {_BATCH} faces at once": (lambda: face.look(several), _BATCH),
        "upright crop for it": (lambda: align(image, FIVE), 1),
        "landmarks, the network alone": (lambda: mesh.run({mesh.inputs[0]: small}), 1),
        "landmarks with their crop": (lambda: landmarker.find(image, FIVE), 1),
    }


def measured(
    timed: Mapping[str, tuple[Callable[[], object], int]], rounds: int
) -> dict[str, float]:
    """Milliseconds of CPU for each face or window, the median of the rounds."""
    spent: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(rounds + rounds // 10 + 1):
        for name, (run, count) in timed.items():
            before = time.thread_time()
            run()
            if number > rounds // 10:
                spent[name].append(1000 * (time.thread_time() - before) / count)
    return {name: statistics.median(values) for name, values in spent.items()}


def shares(cost: Mapping[str, float]) -> dict[str, float]:
    """Percent of a core that a call with one face takes, at the default rates."""
    sampling = Sampling()
    burst = sampling.burst_seconds / sampling.burst_every
    crops = LOOKS_HZ + burst * CROPS_HZ
    found = {
        "face network": LOOKS_HZ * cost["face network, one face"],
        "crops": crops * cost["upright crop for it"],
        "landmarks in bursts": burst * sampling.burst_fps * cost["landmarks with their crop"],
    }
    return {name: per_second / 10 for name, per_second in found.items()}


def main() -> None:
    """Print a table and one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.face_cost")
    parser.add_argument("--models", type=Path, default=default_folder())
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    cost = measured(parts(options.models), options.rounds)
    print(f"{'part':36} {'CPU ms':>8} {'ratio':>7}")
    for name, value in cost.items():
        print(f"{name:36} {value:8.2f} {value / cost[REFERENCE]:7.2f}")
    taken = shares(cost)
    for name, value in taken.items():
        print(f"{name:36} {value:8.2f} % of a core for a call with one face")
    rounded = {name: round(value, 3) for name, value in cost.items()}
    print(json.dumps({"ms": rounded, "percent": {n: round(v, 2) for n, v in taken.items()}}))


if __name__ == "__main__":
    main()
