"""Settings → what keeps evidence of alerts, and its routes."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

from fastapi import APIRouter

from monitor.calls.stages import Judges
from monitor.decision.advice import Pattern, Subject
from monitor.decision.certificate import Tier
from monitor.evidence.bundle import Draft, RecipientError, Recipients
from monitor.evidence.bundle_store import BundleStore, Kept
from monitor.evidence.journal import NAME, JournalError
from monitor.evidence.recorder import Limits, Recorder
from monitor.evidence.signing import KEY_FILE, Signer, SigningKeyError
from monitor.evidence.writer import Condition, Outcome, Writer
from monitor.inference.catalogue import Catalogue, default_folder
from monitor.metrics.sink import Metrics
from monitor.runtime import log
from monitor.runtime.tasks import Workers
from monitor.schema.messages import StoreError
from monitor.schema.records import AlertRecord
from monitor.settings import Settings, SettingsError
from monitor.store.store import Store
from monitor.types import AlarmState
from monitor.types.packet import PacketTarget
from monitor.version import VERSION
from monitor.web.api import evidence
from monitor.web.api.models import ProvenanceRecord, TierRecord
from monitor.web.auth import Gatekeeper

_log = log.get(__name__)

_RETENTION_SECONDS = 3600.0
_LATE = timedelta(days=1)
"""After which an alert that was never committed is listed, but no longer sent."""
_ALWAYS_DAYS = 36_500.0
# What bears on a decision, and nothing that could hold a credential.
_TOLD: dict[str, Any] = {
    "limits": True,
    "video": True,
    "rtsp": True,
    "webrtc": {"jitter_wait", "start_bitrate", "min_bitrate", "max_bitrate"},
    "telephony": {"score"},
    "alarm": True,
    "advice": True,
    "evidence": {"record", "seconds", "megabytes", "tiers", "keep_days", "recipients"},
}


class Archive:
    """Records the calls it is configured for; a disk that fails stops nothing else."""

    def __init__(
        self,
        settings: Settings,
        judges: Judges,
        metrics: Metrics,
        store: Store,
        workers: Workers,
        restore: Callable[[AlertRecord, bool], Awaitable[None]],
    ) -> None:
        """Raise SettingsError for a key or a recipient that cannot be used.

        `restore` commits an alert that only a bundle has, and says whether it is late.
        """
        self._restore = restore
        self._alerts_kept = settings.store.retention.calls
        self._workers = workers
        chosen = settings.evidence
        self._store = store
        self._metrics = metrics
        self._keep_days = chosen.keep_days
        self._patterns = [Pattern(m.label, m.ingest, m.participant) for m in chosen.record]
        self._fault = ""
        self._shelf = self._open(settings)
        self._writer = Writer(self._put, self._told)
        self.recorder = Recorder(
            Limits(
                chosen.seconds,
                round(chosen.megabytes * 2**20),
                frozenset(AlarmState(tier) for tier in chosen.tiers),
            ),
            provenance(settings, judges),
            self._writer.put,
            lambda: datetime.now(UTC),
        )
        metrics.evidence_ring.set_function(lambda: self.recorder.size)
        metrics.evidence_degraded.set(bool(self._fault))

    def keep(self, call: str, ingest: str, label: str) -> PacketTarget | None:
        """Return where a call's encoded media goes, or None if nobody wants it."""
        if self._shelf is None:
            return None

        def wanted(participant: str) -> bool:
            subject = Subject(label, ingest, participant)
            return any(pattern.matches(subject) for pattern in self._patterns)

        # Whoever the participants are: nothing of this call can match.
        if not any(Pattern(p.label, p.ingest).matches(Subject(label, ingest, ""))
                   for p in self._patterns):  # fmt: skip
            return None
        return self.recorder.open(call, wanted)

    def routes(self, gatekeeper: Gatekeeper) -> APIRouter:
        """Return the routes under /api/v1."""
        recording = self._shelf is not None and bool(self._patterns)
        return evidence.router(gatekeeper, self._shelf, recording, self.condition, self._downloaded)

    def condition(self) -> Condition:
        """Whether evidence can be kept."""
        if self._fault:
            return Condition(True, self._fault)
        return self._writer.condition

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write, and delete what is old."""
        if self._shelf is None:
            yield
            return
        try:
            await self._reconcile(self._shelf)
        except StoreError as error:
            _log.warning("evidence not reconciled", detail=str(error))
        self._writer.start()
        try:
            async with self._workers.running([("retention", partial(self._tidy, self._shelf))]):
                yield
        finally:
            await asyncio.to_thread(self._writer.close)

    @property
    def dead(self) -> bool:
        """Whether the thread that writes is gone."""
        return self._writer.dead

    def _open(self, settings: Settings) -> BundleStore | None:
        chosen = settings.evidence
        folder = chosen.folder or settings.state_dir / "evidence"
        if not self._patterns and not (folder / NAME).exists():
            return None
        try:
            recipients = Recipients(chosen.recipients)
            signer = Signer.open(chosen.signing_key or settings.state_dir / KEY_FILE)
            return BundleStore(folder, signer, recipients)
        except RecipientError as error:
            raise SettingsError(f"evidence.recipients: {error}") from error
        except SigningKeyError as error:
            raise SettingsError(f"evidence.signing_key: {error}") from error
        except JournalError as error:
            self._fault = f"{folder / NAME}: {error}; move the folder away to begin anew"
        except OSError as error:
            self._fault = f"{folder}: {error.strerror or type(error).__name__}"
        _log.error("evidence cannot be kept", detail=self._fault)
        return None

    def _put(self, draft: Draft) -> Kept:
        assert self._shelf is not None
        return self._shelf.put(draft)

    def _told(self, outcome: Outcome, degraded: bool) -> None:
        self._metrics.evidence_bundles.labels(outcome).inc()
        self._metrics.evidence_degraded.set(degraded)

    async def _downloaded(self, kept: Kept, by: str) -> None:
        _log.info("evidence downloaded", evidence=kept.id, call=kept.call, by=by)
        try:
            await self._store.audit.note(by, "evidence.download", kept.id, {"call": kept.call})
        except StoreError as error:
            # The log has it; evidence must be at hand when the database is not.
            _log.warning("download not in the audit table", evidence=kept.id, detail=str(error))

    async def _reconcile(self, shelf: BundleStore) -> None:
        """Bring back alerts that have a bundle and were never committed, and tell of them.

        A service that was killed between the two leaves such; so does another database.
        """
        now = datetime.now(UTC)
        # Whose alert may be deleted, or soon is, proves nothing.
        since = timedelta(days=self._alerts_kept - 1 if self._alerts_kept else _ALWAYS_DAYS)
        young = [k for k in shelf if now - datetime.fromisoformat(k.created_at) < since]
        missing = await self._store.alerts.missing([kept.alert for kept in young])
        for kept in reversed([kept for kept in young if kept.alert in missing]):
            record = await asyncio.to_thread(shelf.alert, kept)
            late = now - datetime.fromisoformat(kept.created_at) > _LATE
            try:
                if record is not None:
                    await self._restore(cast(AlertRecord, record), late)
            except (KeyError, ValueError):
                record = None
            outcome = "reconciled" if record is not None else "unmatched"
            self._metrics.evidence_bundles.labels(outcome).inc()
            _log.error(
                "evidence without a committed alert", evidence=kept.id, call=kept.call,
                alert=kept.alert, outcome=outcome,
            )  # fmt: skip
            detail = {"alert": kept.alert, "call": kept.call, "outcome": outcome}
            await self._store.audit.note("service", "evidence.reconcile", kept.id, detail)

    async def _tidy(self, shelf: BundleStore) -> None:
        while self._keep_days:
            try:
                await self._expire(shelf)
            except (OSError, StoreError) as error:
                _log.warning("evidence retention postponed", detail=str(error))
            await asyncio.sleep(_RETENTION_SECONDS)

    async def _expire(self, shelf: BundleStore) -> None:
        """Delete what is old; a call that is held keeps its evidence."""
        before = datetime.now(UTC) - timedelta(days=self._keep_days)
        old = await asyncio.to_thread(shelf.older, before)
        free = [kept for kept in old if not await self._store.holds.held(kept.call)]
        await asyncio.to_thread(shelf.delete, free, "retention")
        for kept in free:
            _log.info("evidence deleted", evidence=kept.id, call=kept.call, reason="retention")


def provenance(settings: Settings, judges: Judges) -> ProvenanceRecord:
    """What every bundle says about models, certificates and settings; never a credential."""
    catalogue = Catalogue(settings.models_dir or default_folder())
    return {
        "models": {
            "service": VERSION,
            "detectors": judges.models,
            "files": {
                name: {
                    "sha256": model.sha256,
                    "decision_sha256": model.decision_sha256,
                    "second_sha256": model.second_sha256,
                }
                for name, model in catalogue.models.items()
            },
        },
        "certificate": {
            str(type_): {
                "identity": used.certificate.identity,
                "model": used.certificate.model,
                "date": used.certificate.date,
                "source": used.certificate.source,
                "statistic": used.statistic,
                "tiers": {name: _tier(tier) for name, tier in used.certificate.tiers.items()},
            }
            for type_, used in judges.policies.items()
        },
        "settings": settings.model_dump(mode="json", include=_TOLD),
    }


def _tier(tier: Tier) -> TierRecord:
    return {
        "certified": tier.certified,
        "budget_per_hour": _finite(tier.budget_per_hour),
        "bound_per_hour": _finite(tier.bound_per_hour),
        "thresholds": {stratum: _finite(value) for stratum, value in tier.thresholds.items()},
        "basis": tier.basis,
        "calls": tier.calls,
        "hours": tier.hours,
        "alarms": tier.alarms,
    }


def _finite(value: float) -> float | None:
    """JSON has no infinities; None stands for one."""
    return value if math.isfinite(value) else None
