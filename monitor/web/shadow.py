"""REST: what the challenger would have done differently."""

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from monitor import wire
from monitor.calls.stages import Judges
from monitor.delivery.shadow import Comparison, Disagreement, Disagreements, differ
from monitor.types import AlarmState, Verdict
from monitor.web.auth import Gatekeeper


def router(
    gatekeeper: Gatekeeper,
    disagreements: Disagreements,
    champion: Judges,
    challenger: Judges | None,
) -> APIRouter:
    """Return the route; without a challenger it says so and shows nothing."""
    routes = APIRouter(prefix="/api/v1", tags=["operations"])

    @routes.get("/shadow", dependencies=[Depends(gatekeeper.require("read"))])
    async def shadow(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
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


def _judges(judges: Judges) -> dict[str, Any]:
    policies = judges.policies.items()
    return {"models": judges.models, "calibrations": {str(t): p.identity for t, p in policies}}


def _counts(counter: Counter[tuple[AlarmState, AlarmState]]) -> dict[str, Any]:
    return {
        "compared": counter.total(),
        "disagreed": sum(n for states, n in counter.items() if differ(*states)),
        "by_state": [
            {"champion": str(champion), "challenger": str(challenger), "count": count}
            for (champion, challenger), count in counter.most_common()
        ],
    }


def _disagreement(value: Disagreement) -> dict[str, Any]:
    return {
        "call": value.call,
        "participant": value.first.champion.participant,
        "ended": value.ended,
        "windows": value.windows,
        "first": _comparison(value.first),
        "latest": _comparison(value.latest),
    }


def _comparison(value: Comparison) -> dict[str, Any]:
    return {
        "time": wire.verdict(value.champion)["time"],
        "champion": _standing(value.champion),
        "challenger": _standing(value.challenger),
    }


def _standing(verdict: Verdict) -> dict[str, Any]:
    record = wire.verdict(verdict)
    return {name: record[name] for name in ("state", "statistic", "llr", "p_value")}
