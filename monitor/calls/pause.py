"""Stretches in which a participant is not monitored because somebody said so."""

from dataclasses import dataclass
from enum import StrEnum


class PauseReason(StrEnum):
    """Why monitoring is paused."""

    CONSENT = "consent"
    """The participant has not agreed, or no longer does."""
    PAYMENT = "payment"
    """Card or account data is being said or shown."""
    PRIVACY = "privacy"
    """What is said is nobody else's business: health, law, family."""
    OPERATOR = "operator"
    """Whoever runs the call decided so."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that has not ended."""

    reason: PauseReason
    since: float
    """Call seconds."""


class PauseError(Exception):
    """A call that cannot be paused; the message says why."""
