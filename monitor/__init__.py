"""Monitors live calls for synthetic voices and forged faces.

The Python API is what `__all__` names (docs/python.md); all else may change with any version.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from monitor.version import VERSION

if TYPE_CHECKING:
    from monitor.inference.catalogue import CatalogueError
    from monitor.schema.records import WindowRecord
    from monitor.service.session import Monitor, RecordingError, Scores, open_monitor, score
    from monitor.settings import Settings, SettingsError
    from monitor.types import AlarmState

__version__ = VERSION
__all__ = [
    "AlarmState", "CatalogueError", "Monitor", "RecordingError", "Scores", "Settings",
    "SettingsError", "WindowRecord", "open_monitor", "score",
]  # fmt: skip
_WHERE = {
    "AlarmState": "types",
    "CatalogueError": "inference.catalogue",
    "Settings": "settings",
    "SettingsError": "settings",
    "WindowRecord": "schema.records",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: `verify` and `--help` need none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE.get(name, 'service.session')}"), name)
