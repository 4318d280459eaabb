"""What one token may have open, and until when it is one."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.settings import SettingsError, load
from monitor.web.auth import Gatekeeper, Grant, digest
from monitor.web.problems import Problem
from monitor.web.quota import Quota

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_one_token_has_its_share_and_leaves_others_theirs() -> None:
    quota = Quota("uploads", "body: uploads", 2)
    with quota.held("a"), quota.held("a"):
        with pytest.raises(Problem) as caught, quota.held("a"):
            pass
        assert caught.value.status == 429
        with quota.held("b"):
            pass
    with quota.held("a"):
        pass


def test_a_token_ends_when_it_says_and_the_next_one_holds() -> None:
    clock = [NOW]
    grants = [
        Grant("old", digest("old"), frozenset({"read"}), NOW + timedelta(hours=1)),
        Grant("new", digest("new"), frozenset({"read"})),
    ]
    gatekeeper = Gatekeeper(grants, lambda: clock[0])
    assert gatekeeper.allow("old", "read").name == "old"
    clock[0] += timedelta(hours=2)
    with pytest.raises(Problem, match="ended at 2026-01-01T01") as caught:
        gatekeeper.allow("old", "read")
    assert caught.value.status == 401
    assert gatekeeper.allow("new", "read").name == "new"


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_blank_secrets_are_refused_by_name(blank: str) -> None:
    for name, settings in (
        ("token", {"token": blank}),
        ("auth_token", {"telephony": {"twilio": {"auth_token": blank}}}),
        ("secret", {"webhooks": [{"name": "h", "url": "http://127.0.0.1/", "secret": blank}]}),
        ("sha256", {"server": {"tokens": [{"name": "t", "sha256": digest("")}]}}),
    ):
        with pytest.raises(SettingsError, match=name):
            load(None, **settings)
    with pytest.raises(Problem, match="needed"):
        Gatekeeper([Grant("x", digest(""), frozenset({"read"}))]).allow(blank, "read")
