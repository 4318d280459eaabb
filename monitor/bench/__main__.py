"""How many calls this machine holds: `deepfake-monitor bench --film FILE`.

A measurement of this machine, of what else it does, and of the models that are installed. Callers
are processes of their own that send what was encoded before, over loopback, to the service as it
ships. Objectives: every window has an outcome, nothing is lost, dropped or left out, 95 % of
verdicts come within 250 ms of the packet that ends their window, and 99 % of looks at the event
loop find it less than 50 ms late. The largest number of calls that holds them is found by
bisection, each kind of call alone. Callers share the cores with the service; their use is reported
apart, and `a core` is the limit over the cores that the service itself used there.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from monitor.bench import report
from monitor.bench.media import FilmError
from monitor.bench.process import BenchError
from monitor.bench.scenario import KINDS, SMOKE, Plan, measure

_NAIVE_SECONDS = {True: 5.0, False: 15.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; print a table, and write bench.json and bench.svg."""
    names = [kind.name for kind in KINDS]
    parser = argparse.ArgumentParser(
        prog="deepfake-monitor bench", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--film", type=Path, required=True,
        help="a recording of one talking person, three seconds or more; what calls are made of",
    )  # fmt: skip
    parser.add_argument("--kinds", nargs="+", choices=names, default=names, metavar="KIND",
                        help=f"what to measure: {', '.join(names)}; all if left out")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the files")
    parser.add_argument("--seconds", type=float, help="of each trial")
    parser.add_argument("--smoke", action="store_true", help="seconds: shows that it works")
    parser.add_argument(
        "--no-naive", action="store_true",
        help="leave out the comparison that needs torch (extra `train`)",
    )  # fmt: skip
    chosen = parser.parse_args(arguments)
    # Whoever ends it shall not be left with its service and callers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    plan = SMOKE if chosen.smoke else Plan(seconds=chosen.seconds)
    results: list[dict[str, Any]] = []
    record = {
        "benchmark": "capacity",
        "smoke": chosen.smoke,
        "machine": _machine() | {"load_before": round(os.getloadavg()[0], 2)},
        "results": results,
        "naive": None,
    }
    try:
        with tempfile.TemporaryDirectory() as folder:
            for kind in KINDS:
                if kind.name in chosen.kinds:
                    found = measure(kind, chosen.film, Path(folder) / kind.name, plan, _say)
                    results.append(found.record())
                    # What is measured is kept, whatever becomes of the rest.
                    _write(chosen.out, record)
        if not chosen.no_naive:
            record["naive"] = _naive(chosen.film, _NAIVE_SECONDS[chosen.smoke])
            _write(chosen.out, record)
    except (BenchError, FilmError) as error:
        _say(f"bench: {error}")
        return 2
    print(report.table(results, record["naive"]))
    return 0


def _write(folder: Path, record: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "bench.svg").write_text(report.plot(record["results"]))


def _naive(film: Path, seconds: float) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "monitor.bench.naive", str(film), str(seconds)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise BenchError(f"the naive peer: {last}; --no-naive leaves it out")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
    }


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
