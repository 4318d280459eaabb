"""How alarms are timed, checked and meant to be taken."""

from pathlib import Path

from pydantic import AwareDatetime, Field, model_validator

from monitor.settings.section import Section
from monitor.types import Advice


class Alarm(Section):
    """How fast alarm states change; seconds of call time."""

    warm_up: float = Field(6.0, ge=0)
    clear_after: float = Field(30.0, ge=0)
    cool_down: float = Field(120.0, ge=0)


class Canary(Section):
    """Recordings replayed through the live path now and then; none by default."""

    genuine: Path | None = None
    """A recording that must not alarm."""
    fake: Path | None = None
    """A recording that must."""
    every_seconds: float = Field(86_400.0, ge=1)
    """From the end of one round of replays to the next; the first comes at the start."""


class Match(Section):
    """Which calls and participants are meant; what is left empty matches all.

    `*` and `?` stand for any characters, as in file names.
    """

    label: str = ""
    """The call's label."""
    ingest: str = ""
    """How its media comes in: whip, rtsp, twilio, and so on."""
    participant: str = ""
    """The participant's label."""


class AdviceRule(Match):
    """Advice for some calls; the first rule that matches is used."""

    review: Advice
    alert: Advice


class Advising(Section):
    """What an alert advises whoever is on the call; the call itself is never touched."""

    review: Advice = Advice.STEP_UP
    alert: Advice = Advice.HUMAN_REVIEW
    rules: tuple[AdviceRule, ...] = ()


class Allowed(Match):
    """A participant who may speak with a synthetic voice: marked in every alert, never hidden."""

    name: str = Field(min_length=1, max_length=80)
    reason: str = Field(min_length=1, max_length=400)
    """Such as announcement, voicemail, or assistive voice, and who decided so."""
    until: AwareDatetime
    """When this ends; there is no allowance without an end."""

    @model_validator(mode="after")
    def _check(self) -> "Allowed":
        if not (self.label or self.participant):
            raise ValueError("label or participant must say who is meant")
        return self
