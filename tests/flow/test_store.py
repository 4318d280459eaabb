"""The store on SQLite; tests/e2e/test_postgres.py runs the same on PostgreSQL."""

from pathlib import Path

import pytest

from tests.clustercases import *  # noqa: F403
from tests.storecases import *  # noqa: F403


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'monitor.db'}"
