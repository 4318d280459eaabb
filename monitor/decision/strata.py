"""Kinds of calls that have thresholds of their own: by what is judged, and by channel. Pure."""

import math
from collections.abc import Collection, Mapping, Sequence

from monitor.types import Quality

AUDIO, VIDEO = "audio", "video"
MODALITIES: Mapping[str, frozenset[str]] = {
    "voice": frozenset({AUDIO}),
    "face": frozenset({VIDEO}),
    "sync": frozenset({AUDIO, VIDEO}),
}
"""What a detector's scores show to be judged."""
NARROW_HZ = 4200.0
"""Bandwidth below which a window came through a telephone channel."""
BUDGET_SHARES: Mapping[frozenset[str], Mapping[str, float]] = {
    frozenset({AUDIO}): {"voice": 1.0},
    frozenset({VIDEO}): {"face": 1.0},
    frozenset({AUDIO, VIDEO}): {"voice": 0.5, "face": 0.3, "sync": 0.1, "fused": 0.1},
}
"""How the alert types share one false-alarm budget, by the modalities that are judged: the
shares of a set sum to 1, so that by the union bound all types together keep the budget."""


def is_narrow(quality: Quality) -> bool:
    """Whether a window came through a telephone channel."""
    return quality.get("bandwidth_hz", math.inf) < NARROW_HZ


def stratum(modalities: Collection[str], narrow: int, windows: int) -> str:
    """Name a call's kind from what is judged and how many of its windows are narrowband."""
    band = "narrow" if 2 * narrow > windows else "wide"
    return f"{'+'.join(sorted(modalities))}/{band}"


def stratum_of(qualities: Sequence[Quality], modalities: Collection[str]) -> str:
    """Name the kind of a recorded call."""
    return stratum(modalities, sum(map(is_narrow, qualities)), len(qualities))


def budget_share(alert_type: str, name: str) -> float:
    """Share of the budget that an alert type has in a stratum; 0 where it cannot alarm."""
    modalities = frozenset(name.partition("/")[0].split("+"))
    return BUDGET_SHARES.get(modalities, {}).get(alert_type, 0.0)
