"""Settings → the store, the outbox, and the workers between them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from monitor.calls.record import CallRecord
from monitor.decision.advice import Advisor, Exemption, Pattern, Rule, Subject
from monitor.delivery.courier import Courier
from monitor.delivery.outbox import Outbox
from monitor.metrics.sink import Metrics
from monitor.runtime import log
from monitor.runtime.tasks import Work, Workers
from monitor.schema.messages import StoreError
from monitor.schema.records import AlertRecord
from monitor.service.destinations import build_destinations
from monitor.settings import PassingError, Settings, SettingsError, passing
from monitor.settings.decision import Match
from monitor.settings.store import DAY
from monitor.store.recorder import Recorder
from monitor.store.retention import Terms
from monitor.store.store import Store
from monitor.types import AlarmState, Alert, Allowance, Guidance

_log = log.get(__name__)
DRAIN_SECONDS = 5.0
"""How long a stopping service waits for the last commits of alerts, and then of calls."""
_FLUSH_AGAIN = 0.2


class Alerting:
    """From the moment an alarm state changes to the moment somebody else knows."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        find: Callable[[str], CallRecord | None],
        raised: Callable[[Alert], None],
        workers: Workers,
    ) -> None:
        """`find` knows the calls; `raised` hears alerts once they are committed.

        Raises SettingsError for what cannot be used.
        """
        self._workers = workers
        self._find = find
        self.advisor = build_advisor(settings)
        self._destinations = build_destinations(settings, self._in_progress)
        self.store = build_store(settings, metrics)
        self._place = _place(settings)
        self.recorder = Recorder(
            self.store.calls,
            metrics,
            lambda call: self._subject(call, "").label,
            self.allowance,
            settings.store.timelines,
        )
        self._couriers = [
            Courier(terms, destination, self.store.deliveries, metrics)
            for terms, destination in self._destinations
        ]
        self.outbox = Outbox(self.store.alerts, self._couriers, self._guide, raised, metrics)

    def allowance(self, call: str, participant: str) -> Allowance | None:
        """Why a participant may speak with a synthetic voice; None if it may not."""
        return self.advisor.allowance(self._subject(call, participant))

    async def inherit(self, instances: Sequence[str]) -> None:
        """Deliver what lost instances accepted and still owe; raises StoreError."""
        for instance in instances:
            count = await self.store.deliveries.inherit(instance)
            _log.warning("deliveries inherited", of=instance, count=count)
        for courier in self._couriers:
            courier.wake()

    async def restore(self, record: AlertRecord, late: bool) -> None:
        """Commit an alert that evidence has and the database does not; raises StoreError.

        Destinations that want its tier get it, unless that is too `late`.
        """
        wanted = [] if late else [c.name for c in self._couriers if c.wants_tier(record["tier"])]
        await self.store.alerts.accept([(record, wanted)])
        for courier in self._couriers:
            courier.wake()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Commit, deliver, record and delete; raises SettingsError if the store cannot open."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.store.close)
            for _, destination in self._destinations:
                stack.push_async_callback(destination.close)
            await self._open()
            await stack.enter_async_context(self._workers.running(self._work()))
            stack.push_async_callback(self._drain)
            yield

    def _work(self) -> list[tuple[str, Work]]:
        work: list[tuple[str, Work]] = [
            ("outbox", self.outbox.run),
            ("calls", self.recorder.run),
            ("retention", self.store.retention.run),
            ("store", self.store.watch),
        ]
        work += [("courier", courier.run) for courier in self._couriers]
        return work + [("destination", found.run) for _, found in self._destinations]

    async def _open(self) -> None:
        try:
            await self.store.open()
            interrupted = await self.store.calls.interrupt()
            abandoned = await self.store.deliveries.abandon([c.name for c in self._couriers])
        except StoreError as error:
            # A file that cannot be opened stays so; a server that is away comes back.
            served = error.reason == "unreachable" and self._place == "store.url"
            passes = error.reason in ("full", "locked") or served
            raise (PassingError if passes else SettingsError)(
                f"{self._place}: {error.detail}"
            ) from error
        if interrupted:
            _log.warning("calls were interrupted", count=interrupted)
        if abandoned:
            _log.warning("deliveries to removed destinations given up", count=abandoned)

    async def _drain(self) -> None:
        """Commit alerts, then what happened in calls."""
        if not await self.outbox.drain(DRAIN_SECONDS):
            _log.error(
                "alerts not committed", detail="the store took none before the service stopped"
            )
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not await self.recorder.flush():  # noqa: ASYNC110
                    await asyncio.sleep(_FLUSH_AGAIN)
        except TimeoutError:
            _log.error("calls not kept", detail="the store took none before the service stopped")

    def _guide(self, alert: Alert) -> Guidance:
        return self.advisor.guide(alert, self._subject(alert.call, alert.participant))

    def _subject(self, call: str, participant: str) -> Subject:
        found = self._find(call)
        label, ingest = (found.label, found.ingest) if found is not None else ("", "")
        return Subject(label, ingest, participant)

    def _in_progress(self, call: str) -> bool:
        found = self._find(call)
        return found is not None and found.ended is None


def build_store(settings: Settings, metrics: Metrics) -> Store:
    """Name the database; raises SettingsError if it cannot be one."""
    chosen, kept = settings.store, settings.store.retention
    try:
        if chosen.url is None:
            settings.state_dir.mkdir(parents=True, exist_ok=True)
        return Store(
            chosen.url.get_secret_value()
            if chosen.url is not None
            else f"sqlite:///{_file(settings)}",
            metrics,
            instance=chosen.instance,
            busy_timeout=chosen.busy_timeout,
            terms=Terms(
                kept.timelines * DAY, kept.calls * DAY, kept.deliveries * DAY, kept.audit * DAY
            ),
            every=kept.every,
        )
    except StoreError as error:
        raise SettingsError(f"{_place(settings)}: {error.detail}") from error
    except OSError as error:
        raise passing(error)(f"state_dir: {settings.state_dir}: {error.strerror}") from error


def _file(settings: Settings) -> Path:
    return settings.state_dir / "monitor.db"


def _place(settings: Settings) -> str:
    """The setting that says where the database is; never the URL, which holds a password."""
    return f"state_dir: {_file(settings)}" if settings.store.url is None else "store.url"


def build_advisor(settings: Settings) -> Advisor:
    """Make the policy for advice and for allowed synthetic speech."""
    chosen = settings.advice
    rules = [(_pattern(rule), rule.review, rule.alert) for rule in chosen.rules]
    rules.append((Pattern(), chosen.review, chosen.alert))
    exemptions = [Exemption(_pattern(a), a.name, a.reason, a.until) for a in settings.allowed]
    now = datetime.now(UTC)
    for exemption in exemptions:
        if exemption.until <= now:
            _log.warning("allowance is over", name=exemption.name, until=str(exemption.until))
    return Advisor(
        [
            Rule(pattern, {AlarmState.REVIEW: review, AlarmState.ALERT: alert})
            for pattern, review, alert in rules
        ],
        exemptions,
        lambda: datetime.now(UTC),
    )


def _pattern(match: Match) -> Pattern:
    return Pattern(match.label, match.ingest, match.participant)
