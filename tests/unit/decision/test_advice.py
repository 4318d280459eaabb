"""What alerts advise, and whose synthetic speech is allowed."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.decision.advice import Advisor, Exemption, Pattern, Rule, Subject
from monitor.types import Advice, AlarmState, AlertAction
from tests.alerts import alert

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REVIEW, ALERT, NORMAL = AlarmState.REVIEW, AlarmState.ALERT, AlarmState.NORMAL
DEFAULT = Rule(Pattern(), {REVIEW: Advice.STEP_UP, ALERT: Advice.HUMAN_REVIEW})
QUIET = Rule(Pattern(label="vip*"), {REVIEW: Advice.CONTINUE, ALERT: Advice.STEP_UP})
PROMPTS = Exemption(Pattern(participant="ivr"), "prompts", "ours", NOW + timedelta(days=1))
ANYBODY = Subject("desk", "rtsp", "remote")


def advisor(now: datetime = NOW) -> Advisor:
    return Advisor([QUIET, DEFAULT], [PROMPTS], lambda: now)


@pytest.mark.parametrize(
    ("tier", "action", "state", "advice"),
    [
        (REVIEW, AlertAction.RAISED, REVIEW, Advice.STEP_UP),
        (ALERT, AlertAction.RAISED, ALERT, Advice.HUMAN_REVIEW),
        (REVIEW, AlertAction.RAISED, ALERT, Advice.HUMAN_REVIEW),
        (ALERT, AlertAction.UPDATED, ALERT, Advice.HUMAN_REVIEW),
        (ALERT, AlertAction.CLEARED, REVIEW, Advice.STEP_UP),
        (REVIEW, AlertAction.CLEARED, NORMAL, Advice.CONTINUE),
    ],
)
def test_advice_follows_the_gravest_state(
    tier: AlarmState, action: AlertAction, state: AlarmState, advice: Advice
) -> None:
    found = advisor().guide(alert(1, tier, action=action, state=state), ANYBODY)
    assert (found.advice, found.allowance) == (advice, None)


def test_the_first_rule_that_matches_the_call_is_used() -> None:
    vip = Subject("vip line", "whip", "remote")
    assert advisor().guide(alert(1), vip).advice is Advice.STEP_UP
    assert advisor().guide(alert(1, REVIEW), vip).advice is Advice.CONTINUE


def test_allowed_speech_is_marked_until_its_time_is_over() -> None:
    ivr = Subject("desk", "rtsp", "ivr")
    found = advisor().guide(alert(1), ivr)
    assert found.advice is Advice.CONTINUE
    assert found.allowance is not None
    assert found.allowance.name == "prompts"
    assert found.allowance.until == "2026-01-02T00:00:00+00:00"
    later = advisor(NOW + timedelta(days=1)).guide(alert(1), ivr)
    assert (later.advice, later.allowance) == (Advice.HUMAN_REVIEW, None)
    assert advisor().allowance(ANYBODY) is None


def test_patterns() -> None:
    pattern = Pattern(label="desk*", ingest="rtsp", participant="a?c")
    assert pattern.matches(Subject("desk 7", "rtsp", "abc"))
    assert not pattern.matches(Subject("desk 7", "whip", "abc"))
    assert not pattern.matches(Subject("desk 7", "rtsp", "ac"))
    assert not pattern.matches(Subject("front desk", "rtsp", "abc"))


def test_every_call_has_a_rule() -> None:
    with pytest.raises(ValueError, match="rest"):
        Advisor([QUIET], [], lambda: NOW)
