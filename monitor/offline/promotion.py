"""A challenger's models folder → the folder that the service runs with, if it is certified.

There is no way around the certificate: a tier whose false alarms are not known to stay within
its budget is not promoted.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from monitor.calls.stages import Judges
from monitor.decision.certificate import Tier
from monitor.inference.catalogue import MANIFEST, Catalogue, CatalogueError


class PromotionError(Exception):
    """A folder must not or cannot be promoted; the message says why. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What was done."""

    models: dict[str, str]
    """Model version by model name."""
    backup: Path | None
    """Where the folder that was replaced is now; None if there was none."""


def promote(
    challenger: Path, target: Path, load: Callable[[Path], Judges], at: datetime
) -> Promotion:
    """Copy the challenger's models over the target; `load` loads a folder as the service would.

    Copied beside the target, checked there and renamed, so that the target is never half of one
    and half of the other. `at` names the backup. Raises PromotionError or CatalogueError.
    """
    source, target = challenger.resolve(), target.resolve()
    if source == target:
        raise PromotionError(f"{challenger}: is the folder that the service runs with")
    if source.is_relative_to(target):
        raise PromotionError(f"{challenger}: lies inside {target}, which it would replace")
    try:
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise PromotionError(f"{target.parent}: {error.strerror}") from error
    try:
        _copy(Catalogue(source), beside)
        # The copy is what is checked: it is what the service will load.
        try:
            models = _check(beside, target, load)
        except (CatalogueError, PromotionError) as error:
            raise type(error)(str(error).replace(str(beside), str(challenger))) from error
        backup = _swap(beside, target, at)
    except OSError as error:
        raise PromotionError(f"{error.filename or target}: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Promotion(models, backup)


def _copy(catalogue: Catalogue, beside: Path) -> None:
    """Copy what the manifest names, and nothing else."""
    source = catalogue.folder
    for path in {source / MANIFEST, *(p for m in catalogue.models.values() for p in m.files)}:
        inside = Path(os.path.normpath(path))
        if not inside.is_relative_to(source):
            raise PromotionError(f"{source / MANIFEST}: {path} lies outside the folder")
        copy = beside / inside.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())


def _check(beside: Path, target: Path, load: Callable[[Path], Judges]) -> dict[str, str]:
    catalogue = Catalogue(beside)
    models = {name: catalogue.verified(name).version for name in catalogue.models}
    if target.exists():
        for name in Catalogue(target).models:
            if name not in models:
                raise PromotionError(f"{beside / MANIFEST}: lacks model {name!r} of {target}")
    policies = load(beside).policies
    uncertified = [
        f"{type_}: {_shortcoming(tier)}"
        for type_, policy in policies.items()
        for tier in policy.certificate.tiers.values()
        if not tier.certified
    ]
    empty = [f"{type_}: no tier" for type_, p in policies.items() if not p.certificate.tiers]
    if uncertified or empty or not policies:
        raise PromotionError("; ".join([*empty, *uncertified]) or f"{beside}: no policy")
    return models


def _shortcoming(tier: Tier) -> str:
    return (
        f"tier {tier.name!r} is not certified: {tier.alarms} false alarms in {tier.calls} genuine "
        f"calls of {tier.hours:g} hours show, at 95 % confidence, at most "
        f"{tier.bound_per_hour:.3g} an hour; its budget is {tier.budget_per_hour:g}"
    )


def _swap(beside: Path, target: Path, at: datetime) -> Path | None:
    """Put the copy in the target's place."""
    beside.chmod(target.stat().st_mode if target.exists() else 0o755)
    if not target.exists():
        beside.rename(target)
        return None
    backup = target.with_name(f"{target.name}.before-{at:%Y%m%dT%H%M%S}")
    if backup.exists():
        raise PromotionError(f"{backup}: a backup of this second exists already")
    target.rename(backup)
    try:
        beside.rename(target)
    except OSError:
        backup.rename(target)
        raise
    return backup
