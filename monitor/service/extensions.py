"""What other installed packages add, found by entry points.

Only what the settings name is loaded: a package that is merely installed runs nothing.
"""

import re
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from monitor.delivery.courier import Destination
from monitor.settings import SettingsError
from monitor.types import AudioWindow, CueWindow
from monitor.types.protocols import Cue, Listener, Source

DETECTORS = "deepfake_monitor.detectors"
"""Called without arguments; returns a `Listener` or a `Cue`."""
SOURCES = "deepfake_monitor.sources"
"""By scheme; called with a URI and the participant's name, returns a `Source`."""
DESTINATIONS = "deepfake_monitor.destinations"
"""By kind; called with the `options` of the settings, returns a `Destination`."""

_NAME = re.compile("[a-z][a-z0-9_]{0,39}")


def detectors(names: tuple[str, ...], taken: set[str]) -> tuple[list[Listener], list[Cue]]:
    """Make each; raises SettingsError naming the one that cannot be used.

    `taken` are the names of other detectors: they are metric labels and the lanes of the console.
    """
    listeners: list[Listener] = []
    cues: list[Cue] = []
    for name in names:
        field = f"extensions.detectors: {name!r}"
        make = named(DETECTORS, name, field)
        try:
            made = make()
        except Exception as error:
            raise SettingsError(f"{field}: {type(error).__name__}: {error}") from error
        found = getattr(made, "name", None)
        if not isinstance(found, str) or not _NAME.fullmatch(found):
            raise SettingsError(f"{field}: its `name` must be small letters, digits and _")
        if found in taken:
            raise SettingsError(f"{field}: there is another detector {found!r}")
        if not isinstance(getattr(made, "model", None), str) or not hasattr(made, "measure"):
            raise SettingsError(f"{field}: a detector has a `model` and measures")
        taken.add(found)
        window = getattr(made, "window", None)
        if window is AudioWindow:
            listeners.append(made)
        elif window is CueWindow:
            cues.append(made)
        else:
            raise SettingsError(f"{field}: its `window` must be AudioWindow or CueWindow")
    return listeners, cues


def source(scheme: str, uri: str, participant: str) -> Source:
    """Make the source of a scheme; raises SettingsError for one that is not installed.

    What the package says of a URI that it does not take, a ValueError, is passed on.
    """
    opened: Source = named(SOURCES, scheme, f"extensions.sources: {scheme!r}")(uri, participant)
    return opened


def destination(kind: str, options: dict[str, Any]) -> Destination:
    """Make a destination; raises SettingsError for one that is not installed or cannot be made."""
    field = f"kind {kind!r}"
    make = named(DESTINATIONS, kind, field)
    try:
        made: Destination = make(**options)
    except Exception as error:  # noqa: BLE001
        # Not its words: they may repeat an option, and options may be secret.
        names = ", ".join(options) or "none"
        raise SettingsError(f"{field}: {type(error).__name__} with options {names}") from None
    return made


def named(group: str, name: str, field: str) -> Callable[..., Any]:
    """Load an entry point; raises SettingsError beginning with the field."""
    found = entry_points(group=group)
    if name not in found.names:
        known = ", ".join(sorted(found.names)) or "none"
        raise SettingsError(f"{field}: no installed package has it in {group}; there are: {known}")
    try:
        loaded: Callable[..., Any] = found[name].load()
    except Exception as error:
        raise SettingsError(f"{field}: cannot be loaded: {type(error).__name__}") from error
    return loaded
