"""What is kept when an alert is raised."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from monitor.settings.decision import Match
from monitor.settings.section import Section


class Evidence(Section):
    """Media, scores and their provenance; nothing is kept unless `record` says of whom."""

    record: tuple[Match, ...] = ()
    """Calls and participants of whom evidence is kept; none by default."""
    folder: Path | None = None
    """Where bundles lie; `evidence` in state_dir if left out."""
    signing_key: Path | None = None
    """Ed25519 in PEM; made on first use, in state_dir, if left out."""
    recipients: tuple[str, ...] = ()
    """age public keys (age1...) whose holders can read bundles; without any they are not
    encrypted. This service needs no private key and should not have one."""
    seconds: float = Field(30.0, gt=0, le=600)
    """Encoded media of each participant that is held in memory for the next alert."""
    megabytes: float = Field(32.0, gt=0, le=1024)
    """Of memory for each participant, at most; pictures give way to sound."""
    tiers: tuple[Literal["review", "alert"], ...] = ("review", "alert")
    """Alerts that make a bundle."""
    keep_days: float = Field(30.0, ge=0)
    """After which bundles are deleted, unless their call is held; 0 keeps them."""
