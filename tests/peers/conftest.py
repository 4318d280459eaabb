"""Peers that `make test` does not need: what they are made of comes from elsewhere."""

from tests.e2e.conftest import _namespace, recordings

__all__ = ["_namespace", "recordings"]
