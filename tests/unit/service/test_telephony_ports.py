"""Telephony settings that cannot be used are named."""

from typing import Any

import pytest

from monitor.calls.admission import Slots
from monitor.calls.registry import Registry
from monitor.metrics.sink import Metrics
from monitor.service.telephony_ports import Telephony
from monitor.settings import SettingsError, load
from monitor.web.auth import Gatekeeper
from tests.fakes import MemorySink, stages


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"score": "agent"}, "telephony.score"),
        ({"idle_timeout": 0}, "telephony.idle_timeout"),
        ({"audiohook": {"api_key": "x"}}, "telephony.audiohook"),
        (
            {"audiohook": {"api_key": "x", "client_secret": "%"}},
            "telephony.audiohook.client_secret",
        ),
        ({"audiosocket": {"port": 70000}}, "telephony.audiosocket.port"),
        ({"audiosocket": {"port": 9092, "peers": ["here"]}}, "telephony.audiosocket.peers"),
        ({"siprec": {"port": 5060, "peers": ["here"]}}, "telephony.siprec.peers"),
        ({"siprec": {"port": 5060, "peers": ["0.0.0.0/0"]}}, "telephony.siprec.*peers"),
        ({"siprec": {"port": 5060, "host": "0.0.0.0"}}, "telephony.siprec.*address"),
        ({"siprec": {"username": "sbc"}}, "telephony.siprec.*password"),
        ({"siprec": {"tls_port": 5061}}, "telephony.siprec.*tls_certificate"),
        ({"siprec": {"rtp_ports": [9, 5]}}, "telephony.siprec.*rtp_ports"),
        (
            {"siprec": {"tls_port": 5061, "tls_certificate": "/nowhere.pem"}},
            "telephony.siprec.tls_certificate",
        ),
    ],
)
def test_what_is_wrong_is_named(chosen: dict[str, Any], named: str) -> None:
    parts = stages()
    registry = Registry(parts, MemorySink(), Metrics(), Slots(1))
    try:
        with pytest.raises(SettingsError, match=named.replace(".", r"\.").replace(r"\.*", ".*")):
            Telephony(load(None, telephony=chosen), registry, Gatekeeper([]))
    finally:
        parts.executor.close()


async def test_a_port_that_is_taken_is_named() -> None:
    parts = stages()
    registry = Registry(parts, MemorySink(), Metrics(), Slots(1))
    try:
        found = [
            Telephony(
                load(None, telephony={"audiosocket": {"port": 39_092}}), registry, Gatekeeper([])
            )
            for _ in range(2)
        ]
        async with found[0].listening():
            with pytest.raises(SettingsError, match=r"telephony\.audiosocket"):
                await found[1].listening().__aenter__()
    finally:
        parts.executor.close()
