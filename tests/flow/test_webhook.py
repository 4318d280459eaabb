"""Alerts reach a real HTTP receiver: signed, in order, through failures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from monitor.delivery.webhook import CAPACITY, WebhookSink
from monitor.metrics import Metrics
from monitor.types import (
    AlarmState,
    Alert,
    AlertAction,
    AlertType,
    Seconds,
    Span,
    Verdict,
)
from tests.e2e.rig.receiver import Receiver

SECRET = "whsec_ZmxvdyB0ZXN0IHNlY3JldCBrZXk="


def alert(sequence: int, tier: AlarmState = AlarmState.ALERT) -> Alert:
    seconds = Seconds(10.0, {"silence": 2.0}, {})
    verdict = Verdict(
        "remote", 12.0, AlarmState.ALERT, AlertType.VOICE, 7.5, 6.0, 0.01, 3.0, seconds
    )
    return Alert(
        call="c", participant="remote", type=AlertType.VOICE, tier=tier,
        action=AlertAction.RAISED, sequence=sequence, raised_at="2026-01-01T00:00:00+00:00",
        span=Span(3.0, 12.0), certified=False, verdict=verdict, evidence=(), models={},
        calibration="x",
    )  # fmt: skip


def sink(url: str, metrics: Metrics, tiers: tuple[str, ...] = ("review", "alert")) -> WebhookSink:
    return WebhookSink("test", url, SECRET, tiers, 0.5, 2.0, metrics, jitter=lambda: 0.0)


@asynccontextmanager
async def running(hook: WebhookSink) -> AsyncIterator[None]:
    task = asyncio.create_task(hook.run())
    yield
    task.cancel()


async def arrived(receiver: Receiver, count: int) -> list[str]:
    posts = await asyncio.to_thread(receiver.wait, count, 15)
    return [p.headers["webhook-id"].split(":")[4] for p in posts]


def attempts(metrics: Metrics, outcome: str) -> float:
    labels = {"sink": "test", "outcome": outcome}
    return metrics.registry.get_sample_value("monitor_delivery_attempts_total", labels) or 0


async def test_signed_and_in_order_through_errors() -> None:
    metrics = Metrics()
    with Receiver() as receiver:
        receiver.plan = [503, 0, 302]
        hook = sink(receiver.url(), metrics)
        async with running(hook):
            for i in (1, 2, 3):
                hook.alert(alert(i))
            assert await arrived(receiver, 6) == ["1", "1", "1", "1", "2", "3"]
            await asyncio.sleep(0.1)
        post = receiver.posts[-1]
        event = Webhook(SECRET).verify(post.body, dict(post.headers))
        assert event["data"]["unmonitored_seconds"] == 2.0
        assert event["type"] == "deepfake-monitor.alert.raised.v1"
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(post.body.replace(b"7.5", b"0.5"), dict(post.headers))
    assert (attempts(metrics, "delivered"), attempts(metrics, "failed")) == (3, 3)
    assert metrics.registry.get_sample_value(
        "monitor_delivery_backlog_seconds", {"sink": "test"}
    ) == 0  # fmt: skip


async def test_a_slow_receiver_is_given_up_and_the_next_message_gets_its_turn() -> None:
    metrics = Metrics()
    with Receiver() as receiver:
        receiver.delay = 3.0
        hook = sink(receiver.url(), metrics)
        async with running(hook):
            hook.alert(alert(1))
            async with asyncio.timeout(10):
                while not attempts(metrics, "dropped"):  # noqa: ASYNC110 - a metric cannot wait
                    await asyncio.sleep(0.05)
            receiver.delay = 0.0
            hook.alert(alert(2))
            async with asyncio.timeout(10):
                while not attempts(metrics, "delivered"):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.05)


async def test_only_wanted_tiers_are_sent() -> None:
    with Receiver() as receiver:
        hook = sink(receiver.url(), Metrics(), tiers=("alert",))
        async with running(hook):
            hook.alert(alert(1, AlarmState.REVIEW))
            hook.alert(alert(2))
            assert await arrived(receiver, 1) == ["2"]


async def test_the_queue_is_bounded() -> None:
    metrics = Metrics()
    hook = sink("http://127.0.0.1:9/", metrics)
    for i in range(CAPACITY + 5):
        hook.alert(replace(alert(1), sequence=i))
    assert attempts(metrics, "dropped") == 5
