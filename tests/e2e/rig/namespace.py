"""Whether the tests run inside in_namespace.sh."""

import os

import pytest

ADDRESS = "10.99.0.1"
"""The namespace's address that is not loopback; ICE stacks want one."""


def inside() -> bool:
    """Whether in_namespace.sh started this process."""
    return os.environ.get("MONITOR_E2E_NAMESPACE") == "inside"


def require_namespace() -> None:
    """Skip the test outside of the namespace; on CI fail, so that nothing is skipped unseen."""
    if not inside():
        words = "run as: sh tests/e2e/rig/in_namespace.sh python -m pytest tests/e2e"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
