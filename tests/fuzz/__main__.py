"""`python -m tests.fuzz SECONDS [TARGET...]`: coverage-guided fuzzing with atheris.

Each target runs in a process of its own and keeps what it learnt, and what it broke, under
build/fuzz/TARGET. Ends with 1 if any broke.
"""

import subprocess
import sys
from pathlib import Path

import atheris

FOLDER = Path("build/fuzz")
LONGEST = 4096
"""Bytes of one input."""


def fuzz(name: str, seconds: str) -> None:
    """Fuzz one target in this process; never returns."""
    with atheris.instrument_imports(
        include=["monitor.ingest", "monitor.sip", "aiortc.sdp", "aiosipua"]
    ):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    corpus = FOLDER / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(target.seeds):
        (corpus / f"seed-{i}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={FOLDER / name}/",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.run)
    atheris.Fuzz()


def main() -> int:
    """Fuzz the targets one after another."""
    from tests.fuzz.targets import TARGETS

    seconds, *names = sys.argv[1:]
    broken = []
    for name in names or TARGETS:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", "--one", name, seconds],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        stats = [line for line in done.stderr.splitlines() if "executed_units" in line]
        broke = (done.stdout + done.stderr)[-3000:]
        print(name, *stats, broke if done.returncode else "ok", flush=True)
        if done.returncode:
            broken.append(name)
    if broken:
        print("broken:", *broken)
    return bool(broken)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        fuzz(*sys.argv[2:])
    sys.exit(main())
