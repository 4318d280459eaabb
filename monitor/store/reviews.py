"""What analysts found each alert to be, and the labelled set that this makes."""

import csv
import io
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from sqlalchemy import RowMapping, func, select
from typing_extensions import TypedDict

from monitor.schema.records import described
from monitor.store import tables
from monitor.store.alerts import plain
from monitor.store.audit import written
from monitor.store.calls import moment
from monitor.store.database import Database


class ReviewOutcome(StrEnum):
    """What an analyst found."""

    TRUE_FAKE = "true_fake"
    FALSE_ALARM = "false_alarm"
    """Genuine speech."""
    BENIGN_PROCESSING = "benign_processing"
    """A genuine speaker through noise suppression, a bad codec or the like."""
    UNSURE = "unsure"


@described
class ReviewRecord(TypedDict):
    """What an analyst found an alert to be."""

    number: int
    alert: str
    """Its id."""
    call: str
    outcome: ReviewOutcome
    reason: str
    by: str
    """Name of the analyst's token."""
    at: str


LABELS = {
    ReviewOutcome.TRUE_FAKE: "spoof",
    ReviewOutcome.FALSE_ALARM: "bonafide",
    ReviewOutcome.BENIGN_PROCESSING: "bonafide",
}
"""What an outcome says about the participant, in the words of data manifests; `unsure` says
nothing."""
ASKED = {"genuine": {"bonafide"}, "fake": {"spoof"}, "all": {"bonafide", "spoof"}}
COLUMNS = (
    "path", "label", "speaker", "generator", "generator_family", "source", "licence", "duration_s",
    "outcome", "call", "participant", "alert", "reviewed_at",
)  # fmt: skip
"""Those of a data manifest first, which evaluation reads; calibration reads path and speaker."""


class Reviews:
    """Rows are added, never changed: the latest about an alert counts."""

    def __init__(self, database: Database, wall: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall = wall

    async def add(
        self, alert: str, outcome: ReviewOutcome, reason: str, by: str
    ) -> ReviewRecord | None:
        """Keep a review and return its record; None if there is no such alert."""
        now = self._wall()
        async with self._database.write() as connection:
            query = select(tables.alerts.c.call).where(tables.alerts.c.id == alert)
            call = (await connection.execute(query)).scalar()
            if call is None:
                return None
            row = {
                "alert": alert,
                "call": call,
                "outcome": str(outcome),
                "reason": plain(reason),
                "by": by,
                "at": now,
            }
            insert = tables.reviews.insert().values(row).returning(tables.reviews.c.number)
            number = (await connection.execute(insert)).scalar_one()
            await written(connection, now, by, "review.add", alert, {"outcome": str(outcome)})
        return {
            "number": number,
            "alert": alert,
            "call": call,
            "outcome": outcome,
            "reason": plain(reason),
            "by": by,
            "at": moment(now),
        }

    async def latest(
        self, limit: int, alert: str | None = None, outcome: ReviewOutcome | None = None
    ) -> list[ReviewRecord]:
        """Reviews, newest first."""
        query = select(tables.reviews).order_by(tables.reviews.c.number.desc()).limit(limit)
        if alert is not None:
            query = query.where(tables.reviews.c.alert == alert)
        if outcome is not None:
            query = query.where(tables.reviews.c.outcome == str(outcome))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_record(row) for row in rows]

    async def labelled(self, label: str, path: str) -> str:
        """CSV with one row for each participant whose reviews agree: genuine, fake or all.

        `path` says where a call's recording lies; `{call}` and `{participant}` are filled in.
        """
        newest = select(func.max(tables.reviews.c.number)).group_by(tables.reviews.c.alert)
        query = (
            select(tables.reviews, tables.alerts.c.participant, tables.participants.c.verdict)
            .join_from(tables.reviews, tables.alerts, tables.alerts.c.id == tables.reviews.c.alert)
            .outerjoin(
                tables.participants,
                (tables.participants.c.call == tables.alerts.c.call)
                & (tables.participants.c.name == tables.alerts.c.participant),
            )
            .where(tables.reviews.c.number.in_(newest))
            .order_by(tables.reviews.c.number)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        by_participant: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in rows:
            by_participant.setdefault((row["call"], row["participant"]), []).append(dict(row))
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            found
            for who, reviews in by_participant.items()
            if (found := _labelled(who, reviews, path)) is not None
            and found["label"] in ASKED[label]
        )
        return out.getvalue()


def _record(row: RowMapping) -> ReviewRecord:
    return {
        "number": row["number"],
        "alert": row["alert"],
        "call": row["call"],
        "outcome": row["outcome"],
        "reason": row["reason"],
        "by": row["by"],
        "at": moment(row["at"]),
    }


def _labelled(
    who: tuple[str, str], reviews: Iterable[dict[str, Any]], path: str
) -> dict[str, str] | None:
    """One participant's row; None where the reviews say nothing or contradict each other."""
    known = [r for r in reviews if r["outcome"] in LABELS]
    if len({LABELS[ReviewOutcome(r["outcome"])] for r in known}) != 1:
        return None
    call, participant = who
    last = known[-1]
    # Quoted: a label that a caller chose must not lead out of the folder.
    name = quote(participant, safe="")
    label = LABELS[ReviewOutcome(last["outcome"])]
    return {
        "path": path.replace("{call}", quote(call, safe="")).replace("{participant}", name),
        "label": label,
        "speaker": f"{call}/{name}",
        "generator": "human" if label == "bonafide" else "unknown",
        "generator_family": "human" if label == "bonafide" else "unknown",
        "source": "reviews",
        "licence": "own calls",
        "duration_s": str((last["verdict"] or {}).get("time") or 0.0),
        "outcome": last["outcome"],
        "call": call,
        "participant": name,
        "alert": last["alert"],
        "reviewed_at": moment(last["at"]),
    }
