"""The file that says how one detector's scores become alarms. Pure.

Calibration, scan model and thresholds belong to one model file: a policy names the model it was
made for, and its own hash is the calibration id on every score.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from monitor.decision.calibration import Calibration
from monitor.decision.certificate import Certificate, Tier
from monitor.decision.sequential import ScanModel

IDENTITY_DIGITS = 12


class PolicyError(Exception):
    """A policy is malformed; the message names the field."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the decision about one detector needs."""

    calibration: Calibration
    scan: ScanModel
    certificate: Certificate

    @property
    def identity(self) -> str:
        """The calibration id that scores and alerts carry."""
        return self.certificate.identity


def loads(text: str) -> Policy:
    """Read a policy from JSON; raise PolicyError naming the field that is wrong."""
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise PolicyError(f"not JSON: {error}") from error
    field = "?"
    try:
        field = "calibration"
        calibration = Calibration(**document[field])
        field = "scan"
        scan = ScanModel(**document[field])
        field = "certificate"
        certificate = dict(document[field])
        field = "certificate.tiers"
        tiers = {t["name"]: Tier(**t) for t in certificate.pop("tiers")}
        field = "certificate"
        maxima = tuple(sorted(certificate.pop("maxima")))
        identity = hashlib.sha256(text.encode()).hexdigest()[:IDENTITY_DIGITS]
        return Policy(
            calibration, scan, Certificate(identity, tiers=tiers, maxima=maxima, **certificate)
        )
    except (KeyError, TypeError) as error:
        raise PolicyError(f"{field}: {error}") from error


def dumps(
    calibration: Calibration, scan: ScanModel, certificate: dict[str, Any], tiers: list[Tier]
) -> str:
    """Write a policy as JSON; `certificate` holds `model`, `date`, `maxima` and `source`."""
    document = {
        "calibration": asdict(calibration),
        "scan": asdict(scan),
        "certificate": {**certificate, "tiers": [asdict(tier) for tier in tiers]},
    }
    return json.dumps(document, indent=1) + "\n"
