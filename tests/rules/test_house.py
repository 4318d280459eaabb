"""The rules of the house that a program can check."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from monitor.inference.catalogue import Catalogue
from monitor.metrics.sink import Metrics
from monitor.settings import load
from monitor.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "monitor").rglob("*.py"))
LONGEST = 300


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_one_noun_and_not_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST
    words = set(path.stem.split("_"))
    assert not words & {"manager", "helper", "helpers", "util", "utils", "common", "misc"}


def test_no_module_is_an_orphan() -> None:
    imported: set[str] = set()
    for path in SOURCES:
        package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = node.module or package
                imported |= {base} | {f"{base}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Constant) and path == ROOT / "monitor" / "cli.py":
                # A command is loaded when it runs: "module:function" below monitor.commands.
                module, _, function = str(node.value).partition(":")
                imported |= {f"monitor.commands.{module}"} if function.isidentifier() else set()
    entry = {
        f"monitor.{name}"
        # The last three are processes of their own.
        for name in (
            "__main__",
            "training.__main__",
            "training.face.__main__",
            "bench.__main__",
            "bench.callers",
            "bench.floor",
            "bench.naive",
        )
    }
    modules = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts)
        for p in SOURCES
        # alembic finds migrations by their path
        if p.name != "__init__.py" and "migrations" not in p.parts
    }
    assert modules - imported - entry == set()


def test_every_model_has_file_card_hash_and_license() -> None:
    folder = ROOT / "models"
    catalogue = Catalogue(folder)
    assert catalogue.models
    for name in catalogue.models:
        model = catalogue.verified(name)
        card = model.card.read_text()
        assert model.sha256 in card, f"{model.card} does not name the file it describes"
        assert model.license
        assert model.path.stat().st_size < 8 * 2**20
        if model.second is not None:
            assert str(model.second_sha256) in card, f"{model.card} does not name {model.second}"
            assert model.second.stat().st_size < 35 * 10**6
    entries = tomllib.loads((folder / "manifest.toml").read_text())["model"]
    for entry in entries:
        assert {"data", "command", "metrics", "parameters"} <= entry.keys()
    known = {file for m in catalogue.models.values() for file in m.files if file.suffix == ".onnx"}
    assert set(folder.rglob("*.onnx")) == known


def test_every_metric_is_used() -> None:
    source = "\n".join(p.read_text() for p in SOURCES)
    metrics = Metrics()
    for attribute, family in vars(metrics).items():
        if not hasattr(family, "describe"):
            continue
        (described,) = family.describe()
        uses = len(re.findall(rf"(?:self|metrics|_metrics)\.{attribute}\b", source))
        assert uses >= 2, f"{described.name} is never set"


def test_no_label_is_open_ended() -> None:
    allowed = {
        "ingest", "state", "reason", "detector", "outcome", "stage", "tier", "type", "action",
        "sink", "event", "model", "calibration", "certificate", "challenger_state", "measure",
        "kind", "looks", "task",
    }  # fmt: skip
    for family in vars(Metrics()).values():
        assert set(getattr(family, "_labelnames", ())) <= allowed


def test_the_example_settings_parse_and_show_the_defaults() -> None:
    path = ROOT / "deploy" / "monitor.toml"
    example, defaults = load(path), load(None)
    for name in (
        "limits",
        "video",
        "rtsp",
        "whep",
        "rtp",
        "webrtc",
        "telephony",
        "zoom",
        "alarm",
        "canary",
        "advice",
        "store",
        "cluster",
        "evidence",
    ):
        assert getattr(example, name) == getattr(defaults, name)
    written = tomllib.loads(path.read_text())
    # These have no default that TOML can express.
    unwritten = {"token", "models_dir", "challenger_dir"}
    assert set(type(defaults).model_fields) - set(written) - unwritten == set()


def test_no_path_of_a_machine_and_no_outside_host() -> None:
    suspicious = re.compile(r"/(?:root|home|work|mnt)/\w|\bsrc=[\"']https?://|stun\.l\.google")
    for path in [*SOURCES, *(ROOT / "monitor" / "web" / "console").iterdir()]:
        assert not suspicious.search(path.read_text()), path


def test_changelog_and_version_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert VERSION == version


def test_opencv_samples_pictures_and_does_nothing_else() -> None:
    """Media is opened by ingest and networks run by inference: OpenCV could do both."""
    other = re.compile(r"\b(VideoCapture|VideoWriter|imread|dnn|imshow|Cascade\w*|Face\w*YN)\b")
    users = [p for p in SOURCES if "cv2" in p.read_text()]
    assert users
    for path in users:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "cv2":
                raise AssertionError(f"{path}: import cv2 itself, so that its names are seen")
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "cv2":
                assert not other.fullmatch(node.attr), f"{path}:{node.lineno}"


OWNERS = {"monitor/runtime/tasks.py", "monitor/runtime/threads.py"}
"""Begin tasks and threads for everybody else, and hear how they end."""
FREE = {"monitor/training", "monitor/bench"}
"""Tools beside the service."""
BEGINS = {"create_task", "ensure_future", "run_in_executor", "run_coroutine_threadsafe", "Thread",
          "ThreadPoolExecutor", "start_new_thread"}  # fmt: skip


def _groups(tree: ast.AST) -> set[str]:
    """Names of task groups: what they begin ends with them, and they with it."""
    return {
        item.optional_vars.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if ast.unparse(item.context_expr) == "asyncio.TaskGroup()"
        and isinstance(item.optional_vars, ast.Name)
    }


def bare(source: str) -> list[int]:
    """Lines that begin a task or a thread that nobody owns."""
    tree = ast.parse(source)
    groups = _groups(tree)
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        owned = isinstance(owner, ast.Name) and owner.id in groups
        if name in BEGINS and not owned:
            found.append(node.lineno)
    return found


def test_every_task_and_every_thread_has_an_owner() -> None:
    for path in SOURCES:
        name = str(path.relative_to(ROOT))
        if name not in OWNERS and not any(name.startswith(folder) for folder in FREE):
            assert bare(path.read_text()) == [], (
                f"{name}: monitor.runtime.tasks or monitor.runtime.threads"
            )


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import asyncio\nasyncio.create_task(work())", [2]),
        ("loop.create_task(work())", [1]),
        ("Thread(target=work).start()", [1]),
        ("async def f():\n async with asyncio.TaskGroup() as g:\n  g.create_task(work())", []),
        ("async def f():\n async with other() as g:\n  g.create_task(work())", [3]),
    ],
)
def test_the_rule_about_owners_finds_what_it_must(source: str, lines: list[int]) -> None:
    assert bare(source) == lines
