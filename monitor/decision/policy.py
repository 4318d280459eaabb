"""The file that says how one alert type's scores become alarms. Pure.

Calibration, scan model and thresholds belong to one model file: a policy names the model it was
made for, and its own hash is the calibration id on every score.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from monitor.decision.calibration import Calibration
from monitor.decision.certificate import POOLED, Certificate, Tier
from monitor.decision.drift import Histogram
from monitor.decision.quality_bins import BinnedCalibration, QualityBin
from monitor.decision.sequential import STATISTICS, ScanModel

VERSION = 2
IDENTITY_DIGITS = 12


class PolicyError(Exception):
    """A policy is malformed; the message names the field."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the decision about one alert type needs."""

    calibration: BinnedCalibration
    scan: ScanModel
    certificate: Certificate
    statistic: str = "scan"
    """A name in STATISTICS."""
    reference: Mapping[str, Histogram] = field(default_factory=dict)
    """What windows of genuine reference calls look like, for drift."""

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
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise PolicyError(f"version: must be {VERSION}")
    at = "calibration"
    try:
        bins = tuple(
            QualityBin(**{**b, "calibration": Calibration(**b["calibration"])})
            for b in document[at]["bins"]
        )
        calibration = BinnedCalibration(document[at]["cuts"], bins)
        at = "scan"
        scan = ScanModel(**document[at])
        at = "statistic"
        statistic = document[at]
        if statistic not in STATISTICS:
            raise KeyError(statistic)
        at = "reference"
        reference = {
            m: Histogram(tuple(h["edges"]), tuple(h["counts"])) for m, h in document[at].items()
        }
        at = "certificate"
        fields = dict(document[at])
        at = "certificate.tiers"
        tiers = {t["name"]: Tier(**t) for t in fields.pop("tiers")}
        at = "certificate.maxima"
        maxima = {s: tuple(sorted(m)) for s, m in fields.pop("maxima").items()}
        if POOLED not in maxima:
            raise KeyError(POOLED)
        at = "certificate.tiers.thresholds"
        for tier in tiers.values():
            tier.threshold(POOLED)
        at = "certificate"
        identity = hashlib.sha256(text.encode()).hexdigest()[:IDENTITY_DIGITS]
        certificate = Certificate(identity, tiers=tiers, maxima=maxima, **fields)
        return Policy(calibration, scan, certificate, statistic, reference)
    except (KeyError, TypeError, AttributeError) as error:
        raise PolicyError(f"{at}: {error}") from error


def dumps(
    calibration: BinnedCalibration,
    scan: ScanModel,
    statistic: str,
    tiers: Sequence[Tier],
    maxima: Mapping[str, Sequence[float]],
    reference: Mapping[str, Histogram],
    **origin: str,
) -> str:
    """Write a policy as JSON; `origin` holds the certificate's `model`, `date` and `source`."""
    document = {
        "version": VERSION,
        "calibration": asdict(calibration),
        "scan": asdict(scan),
        "statistic": statistic,
        "certificate": {
            **origin,
            "tiers": [asdict(tier) for tier in tiers],
            "maxima": {s: sorted(m) for s, m in maxima.items()},
        },
        "reference": {m: asdict(h) for m, h in reference.items()},
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
