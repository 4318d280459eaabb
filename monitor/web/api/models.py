"""REST: which models judge, and what has been shown about their false alarms."""

from typing import Any

from fastapi import APIRouter, Depends
from typing_extensions import TypedDict

from monitor.schema.records import described
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedRoute


@described
class ModelFileRecord(TypedDict):
    """A model that is installed."""

    sha256: str
    decision_sha256: str | None
    """Of its calibration and certificate, where it has them."""
    second_sha256: str | None
    """Of the network of a second look, where it has one."""


@described
class InstalledRecord(TypedDict):
    """What judges."""

    service: str
    """Version of this service."""
    detectors: dict[str, str]
    """Model version by detector."""
    files: dict[str, ModelFileRecord]
    """By model."""


@described
class TierRecord(TypedDict):
    """What has been shown about the false alarms of one alarm tier."""

    certified: bool
    """Whether the upper limit is within the budget."""
    budget_per_hour: float | None
    bound_per_hour: float | None
    """One-sided 95 % upper limit of false alarms per hour of genuine speech."""
    thresholds: dict[str, float | None]
    """Of the statistic, by kind of call."""
    basis: str
    """What the limit was computed from."""
    calls: int
    """Genuine calls behind it."""
    hours: float
    alarms: int


@described
class CertificateRecord(TypedDict):
    """The certificate of one alert type."""

    identity: str
    model: str
    date: str
    source: str
    """Which calls it was made with."""
    statistic: str
    tiers: dict[str, TierRecord]


class ProvenanceRecord(TypedDict):
    """What every evidence bundle says about models, certificates and settings."""

    models: InstalledRecord
    certificate: dict[str, CertificateRecord]
    """By alert type."""
    settings: dict[str, Any]


@described
class ModelsRecord(TypedDict):
    """Models with their hashes, and each alert type's certificate."""

    models: InstalledRecord
    certificates: dict[str, CertificateRecord]
    """By alert type."""
    warm_up_seconds: float
    """Scored seconds before any decision."""


def router(gatekeeper: Gatekeeper, provenance: ProvenanceRecord, warm_up: float) -> APIRouter:
    """Return the route; `warm_up`: scored seconds before any decision."""
    routes = APIRouter(prefix="/api/v1", tags=["operations"], route_class=DescribedRoute)

    @routes.get("/models", dependencies=[Depends(gatekeeper.require("read"))])
    async def show_models() -> ModelsRecord:
        """Models with their hashes, and each alert type's certificate."""
        return {
            "models": provenance["models"],
            "certificates": provenance["certificate"],
            "warm_up_seconds": warm_up,
        }

    return routes
