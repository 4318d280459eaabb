"""The command line loads what a command needs, and says of each command what it does."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from monitor.cli import cli
from monitor.commands import (
    bench,
    calibrate,
    cluster,
    evidence,
    models,
    score,
    serve,
    train,
    watch,
)

HEAVY = ["aiortc", "av", "cv2", "fastapi", "numpy", "onnxruntime", "ray", "sqlalchemy", "torch"]
FUNCTIONS = {
    "bench": bench.bench,
    "calibrate": calibrate.calibrate,
    "cluster start": cluster.start,
    "cluster drain": cluster.drain,
    "evaluate": train.evaluate,
    "evidence key": evidence.show_key,
    "models promote": models.promote_models,
    "models verify": models.verify_models,
    "score": score.score,
    "serve": serve.serve,
    "train": train.train,
    "verify": evidence.verify_bundles,
    "watch": watch.watch,
}


def loaded(*arguments: str) -> set[str]:
    """Which of HEAVY a command line loads."""
    program = (
        "import sys; from monitor.cli import cli\n"
        "try: cli(sys.argv[1:])\n"
        f"finally: print('loaded', *({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"
    ).replace(repr(HEAVY), f"set({HEAVY!r})")
    command = [sys.executable, "-c", program, *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return set(found.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], ["models", "--help"], ["cluster", "--help"], []])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded(*arguments) == set()


def test_verify_needs_no_media_no_web_no_database_no_models() -> None:
    # Settings know numpy, which other commands check values with.
    assert loaded("verify", "/nowhere") <= {"numpy"}


def test_score_would_load_what_it_needs() -> None:
    assert {"av", "onnxruntime"} <= loaded("score", "--help")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_command_says_what_its_function_says(name: str) -> None:
    *group, command = name.split()
    said = CliRunner().invoke(cli, [*group, "--help"], env={"COLUMNS": "200"}).output
    (line,) = [x for x in said.splitlines() if x.strip(" │").startswith(f"{command} ")]
    first = (FUNCTIONS[name].__doc__ or "").splitlines()[0]
    assert line.strip(" │").removeprefix(command).strip() == first


def test_arguments_reach_the_command_as_they_are() -> None:
    runner = CliRunner()
    found = runner.invoke(cli, ["score", "--format", "nothing", "--", "-odd.wav"])
    assert found.exit_code == 2
    assert "--format: must be text or jsonl" in found.output
    helped = runner.invoke(cli, ["score", "--help"], prog_name="deepfake-monitor")
    assert helped.exit_code == 0
    assert "deepfake-monitor score" in helped.output
    assert runner.invoke(cli, ["verify"]).exit_code == 2
    assert runner.invoke(cli, ["scor"]).exit_code == 2
