"""Alerts in the formats of event logs."""

import re
from dataclasses import replace
from functools import cache
from typing import get_args

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from monitor import __version__
from monitor.delivery.siem import OcsfVersion, cef, ocsf, syslog
from monitor.schema import wire
from monitor.types import AlarmState, AlertAction
from tests.alerts import alert, allowed


def fields(line: str) -> dict[str, str]:
    """The extension as the CEF specification says to read it."""
    extension = re.split(r"(?<!\\)\|", line, maxsplit=7)[7]
    parts = re.split(r"(?:^| )(\w+)(?<!\\)=", extension)[1:]
    unescaped = (
        p.replace("\\n", "\n").replace("\\=", "=").replace("\\\\", "\\") for p in parts[1::2]
    )
    return dict(zip(parts[::2], unescaped, strict=True))


def test_cef_of_an_alert() -> None:
    line = cef(wire.alert(alert(1)))
    assert line == (
        f"CEF:0|deepfake-monitor|deepfake monitor|{__version__}|voice.raised|"
        "Suspected synthetic media|8|rt=1767225601000 externalId=c:remote:voice:alert:1:raised "
        "act=raised cat=voice suser=remote cs1Label=call cs1=c cs2Label=tier cs2=alert "
        "cs3Label=advice cs3=human_review cs4Label=allowed cs4=no cs5Label=alert "
        f"cs5={alert(1).id} cs6Label=certified cs6=no cfp1Label=statistic cfp1=7.5 "
        "cfp2Label=p_value cfp2=0.01 cfp3Label=unmonitored_seconds cfp3=2.0 "
        "msg=voice of remote: alert raised"
    )


@pytest.mark.parametrize("name", ["a=b", "a|b", "a\\b", "a\nb", "CEF:0|x|y act=cleared", "Zoë"])
def test_cef_lets_no_name_make_a_field(name: str) -> None:
    line = cef(wire.alert(alert(1, participant=name)))
    assert "\n" not in line
    assert fields(line)["suser"] == name
    assert fields(line)["act"] == "raised"


def test_cef_leaves_out_what_is_not_known() -> None:
    found = alert(1)
    verdict = replace(found.verdict, p_value=None, statistic=float("-inf"))
    line = cef(wire.alert(replace(found, verdict=verdict)))
    assert "cfp1" not in line
    assert "cfp2" not in line
    assert fields(cef(wire.alert(allowed(found))))["cs4"] == "announcements"


@cache
def published(version: str) -> Draft202012Validator:
    """The class as the schema's own publisher describes it."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(f"{version}.0"))
    return Draft202012Validator(schema.get_class_schema("detection_finding"))


@pytest.mark.parametrize("version", get_args(OcsfVersion))
def test_the_published_schema_refuses_what_is_wrong(version: OcsfVersion) -> None:
    event = ocsf(wire.alert(alert(1)), version)
    wrongs: list[dict[str, object]] = [
        {"severity_id": 42}, {"finding_info": {}}, {"is_alert": "yes"}, {"frown": 1},
    ]  # fmt: skip
    for wrong in wrongs:
        assert not published(version).is_valid(event | wrong), wrong


@pytest.mark.parametrize("action", list(AlertAction))
@pytest.mark.parametrize("tier", [AlarmState.REVIEW, AlarmState.ALERT])
@pytest.mark.parametrize("version", get_args(OcsfVersion))
def test_ocsf_is_a_detection_finding(
    version: OcsfVersion, action: AlertAction, tier: AlarmState
) -> None:
    record = wire.alert(alert(1, tier, action=action))
    event = ocsf(record, version)
    published(version).validate(event)
    assert event["metadata"]["version"] == f"{version}.0"
    assert event["is_alert"] is (tier is AlarmState.ALERT)
    assert event["class_uid"] == 2004
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["metadata"]["uid"] == record["idempotency_key"]
    assert event["finding_info"]["uid"] == record["id"]
    assert event["unmapped"] == record
    assert ocsf(wire.alert(alert(2, tier)))["finding_info"]["uid"] != record["id"]


def test_syslog_frame() -> None:
    frame = syslog(wire.alert(alert(1)), "CEF:0|Zoë", "ho st")
    length, _, line = frame.partition(b" ")
    assert int(length) == len(line)
    assert re.fullmatch(
        r"<106>1 2026-01-01T00:00:01\.000\+00:00 ho-st deepfake-monitor \d+ raised - CEF:0\|Zoë",
        line.decode(),
    )
