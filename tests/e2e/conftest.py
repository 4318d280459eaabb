"""What all end-to-end tests share: a closed network, recordings, a running service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig.namespace import require_namespace
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import Service

HUMAN = "human-en"
"""Prompts of one person, recorded at 8 kHz."""
SYNTHETIC = "synthetic-flite"
"""An engine that is far over every threshold; level, noise floor and pauses are those of the human
recordings. `human-words` is the human recording with the same band."""


CUES = {"blink", "expression", "facial_hair", "lighting", "pulse", "reflections", "sync"}
"""Every physical cue, by the name of its windows."""

LONGEST = (
    "test_cluster.py",
    "test_rtsp.py",
    "test_delivery.py",
    "test_rig.py",
    "test_webrtc_loss.py",
    "test_score.py",
    "test_evidence.py",
    "test_telephony.py",
    "test_meetings.py",
    "test_browser.py",
    "test_console.py",
    "test_people.py",
    "test_whep.py",
    "test_rtp.py",
    "test_siprec.py",
)
"""Files that take more than half a minute. They begin first, so that no process is left with one
of them when the others have finished; a file that is missing here costs only that."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(autouse=True, scope="session")
def _namespace() -> None:
    require_namespace()


@pytest.fixture(scope="session")
def recordings() -> Recordings:
    return Recordings()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def artifacts(request: pytest.FixtureRequest) -> Path:
    """Where a test leaves screenshots and logs for people to look at."""
    folder: Path = Path("build/e2e/artifacts") / request.node.name.replace("/", "_")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
