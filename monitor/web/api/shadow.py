"""REST: what the challenger would have done differently."""

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from typing_extensions import TypedDict

from monitor.calls.stages import Judges
from monitor.delivery.shadow import Comparison, Disagreement, Disagreements, differ
from monitor.schema import wire
from monitor.schema.records import described
from monitor.types import AlarmState, Verdict
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedRoute


@described
class JudgesRecord(TypedDict):
    """Models and policies that judge together."""

    models: dict[str, str]
    """Version by detector."""
    calibrations: dict[str, str]
    """By alert type."""


@described
class StatesRecord(TypedDict):
    """How often the two stood in these states."""

    champion: AlarmState
    challenger: AlarmState
    count: int


@described
class CountsRecord(TypedDict):
    """How often the two were compared, and stood differently."""

    compared: int
    disagreed: int
    by_state: list[StatesRecord]


@described
class OpinionRecord(TypedDict):
    """What one of the two makes of a participant."""

    state: AlarmState
    statistic: float | None
    llr: float | None
    p_value: float | None


@described
class ComparisonRecord(TypedDict):
    """What both make of a participant at one moment."""

    time: float | None
    champion: OpinionRecord
    challenger: OpinionRecord


@described
class DisagreementRecord(TypedDict):
    """A participant of one call about whom the two parted."""

    call: str
    participant: str
    ended: bool
    """Whether the call is over."""
    windows: int
    """Windows after which they stood in different states."""
    first: ComparisonRecord
    latest: ComparisonRecord


@described
class ShadowRecord(TypedDict):
    """What the challenger would have done differently."""

    champion: JudgesRecord
    challenger: JudgesRecord | None
    windows: CountsRecord
    calls: CountsRecord
    """Participants of ended calls, by the gravest state that either reached."""
    disagreements: list[DisagreementRecord]
    """The latest first."""


def router(
    gatekeeper: Gatekeeper,
    disagreements: Disagreements,
    champion: Judges,
    challenger: Judges | None,
) -> APIRouter:
    """Return the route; without a challenger it says so and shows nothing."""
    routes = APIRouter(prefix="/api/v1", tags=["operations"], route_class=DescribedRoute)

    @routes.get("/shadow", dependencies=[Depends(gatekeeper.require("read"))])
    async def shadow(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> ShadowRecord:
        """Totals, and the latest calls in which champion and challenger stood differently."""
        totals = disagreements.totals
        return {
            "champion": _judges(champion),
            "challenger": _judges(challenger) if challenger is not None else None,
            "windows": _counts(totals.windows),
            "calls": _counts(totals.calls),
            "disagreements": [_disagreement(d) for d in disagreements.latest(limit)],
        }

    return routes


def _judges(judges: Judges) -> JudgesRecord:
    policies = judges.policies.items()
    return {"models": judges.models, "calibrations": {str(t): p.identity for t, p in policies}}


def _counts(counter: Counter[tuple[AlarmState, AlarmState]]) -> CountsRecord:
    return {
        "compared": counter.total(),
        "disagreed": sum(n for states, n in counter.items() if differ(*states)),
        "by_state": [
            {"champion": champion, "challenger": challenger, "count": count}
            for (champion, challenger), count in counter.most_common()
        ],
    }


def _disagreement(value: Disagreement) -> DisagreementRecord:
    return {
        "call": value.call,
        "participant": value.first.champion.participant,
        "ended": value.ended,
        "windows": value.windows,
        "first": _comparison(value.first),
        "latest": _comparison(value.latest),
    }


def _comparison(value: Comparison) -> ComparisonRecord:
    return {
        "time": wire.verdict(value.champion)["time"],
        "champion": _standing(value.champion),
        "challenger": _standing(value.challenger),
    }


def _standing(verdict: Verdict) -> OpinionRecord:
    record = wire.verdict(verdict)
    return {
        "state": record["state"],
        "statistic": record["statistic"],
        "llr": record["llr"],
        "p_value": record["p_value"],
    }
