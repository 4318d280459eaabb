"""Signed requests, against the vendors' own examples."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.web import signatures
from monitor.web.problems import Problem
from monitor.web.signatures import PORTS, AudioHookGate, TwilioGate

# The example of Genesys' AudioHook documentation.
KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
SECRET = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
TARGET = "/api/v1/voicebiometrics/ws"
CREATED = 1641013200
HEADERS = {
    "host": "audiohook.example.com",
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": KEY,
    "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
    "signature-input": (
        'sig1=("@request-target" "@authority" "audiohook-organization-id" '
        '"audiohook-session-id" "audiohook-correlation-id" "x-api-key")'
        f';keyid="{KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256"'
        ";created=1641013200;expires=3282026430"
    ),
}


def gate(*organizations: str, now: float = CREATED + 5) -> AudioHookGate:
    return AudioHookGate(KEY, SECRET, organizations, lambda: now)


def signed(**replace: str) -> dict[str, str]:
    """The example's request with other parameters, signed anew."""
    headers = dict(HEADERS)
    for old, new in replace.items():
        headers["signature-input"] = headers["signature-input"].replace(old, new)
    parameters = headers["signature-input"].partition("=")[2]
    lines = [f'"@request-target": {TARGET}', f'"@authority": {headers["host"]}']
    lines += [
        f'"{name}": {headers[name]}'
        for name in headers
        if name.startswith(("audiohook", "x-api")) and f'"{name}"' in parameters
    ]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    mac = hmac.new(base64.b64decode(SECRET), base.encode(), hashlib.sha256).digest()
    return headers | {"signature": f"sig1=:{base64.b64encode(mac).decode()}:"}


def refusal(found: AudioHookGate, headers: dict[str, str], target: str = TARGET) -> str:
    with pytest.raises(Problem) as caught:
        found.check(target, headers)
    assert caught.value.status in (401, 403, 503)
    return caught.value.detail


def test_the_documented_example_is_let_in_once() -> None:
    found = gate()
    found.check(TARGET, HEADERS)
    assert "nonce: was used" in refusal(found, HEADERS)


@pytest.mark.parametrize("name", [n for n in HEADERS if n not in ("signature", "signature-input")])
def test_every_signed_header_counts(name: str) -> None:
    refusal(gate(), HEADERS | {name: HEADERS[name] + "0"})
    refusal(gate(), {k: v for k, v in HEADERS.items() if k != name})


def test_path_and_query_count() -> None:
    assert "does not match" in refusal(gate(), HEADERS, TARGET + "?a=1")


@pytest.mark.parametrize("now", [CREATED - 4, CREATED + 14])
def test_too_old_and_too_new(now: float) -> None:
    assert "created" in refusal(gate(now=now), HEADERS)


def test_what_expired_and_what_lacks_a_nonce() -> None:
    gate().check(TARGET, signed())
    assert "expires" in refusal(gate(), signed(**{"3282026430": "1641013200"}))
    assert "nonce" in refusal(gate(), signed(VGhpc0lzQVVuaXF1ZU5vbmNl="short"))
    assert "keyid" in refusal(gate(), signed(**{f'keyid="{KEY}"': 'keyid="another"'}))
    assert "x-api-key" in refusal(gate(), signed(**{' "x-api-key"': ""}))


def test_only_known_organizations() -> None:
    gate("x", HEADERS["audiohook-organization-id"]).check(TARGET, HEADERS)
    assert "organizations" in refusal(gate("x"), HEADERS)


@pytest.mark.parametrize("name", ["signature", "signature-input"])
@pytest.mark.parametrize("value", ["", "sig1=", "sig1=::", 'sig1=("@status");created=1', "é" * 99])
def test_unreadable_signatures(name: str, value: str) -> None:
    refusal(gate(), HEADERS | {name: value})


HEADER = st.text(max_size=30) | st.sampled_from(list(HEADERS.values()))


@given(st.dictionaries(st.sampled_from([*HEADERS, "x-twilio-signature"]), HEADER), HEADER)
def test_whatever_is_sent_is_refused_and_nothing_else(headers: dict[str, str], target: str) -> None:
    for found in (gate(), TwilioGate("12345")):
        with pytest.raises(Problem):
            found.check(target + "?", {"x-api-key": KEY} | headers)


def test_remembered_nonces_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "NONCES", 3)
    at = [CREATED + 5.0]
    found = AudioHookGate(KEY, SECRET, (), lambda: at[0])
    for index in range(3):
        found.check(TARGET, signed(VGhpc0lzQVVuaXF1ZU5vbmNl=f"{index:022}"))
    assert "too many" in refusal(found, signed())
    at[0] += 60
    later = signed(**{"created=1641013200": f"created={int(at[0])}"})
    found.check(TARGET, later)


def test_a_secret_must_be_base64() -> None:
    with pytest.raises(ValueError, match="base64|padding"):
        AudioHookGate(KEY, "not base64")


def test_twilio() -> None:
    token, url = "12345", "wss://mycompany.com/telephony/twilio"
    mac = hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()
    headers = {"host": "mycompany.com", "x-twilio-signature": base64.b64encode(mac).decode()}
    TwilioGate(token).check("/telephony/twilio", headers)
    TwilioGate(token).check("/telephony/twilio/", headers)
    for wrong in (headers | {"host": "other"}, headers | {"x-twilio-signature": "é"}, {}):
        with pytest.raises(Problem):
            TwilioGate(token).check("/telephony/twilio", wrong)
    with pytest.raises(Problem):
        TwilioGate("other").check("/telephony/twilio", headers)


def twilio_lets_in(signed: str, host: str, target: str = "/telephony/twilio", **more: str) -> bool:
    mac = hmac.new(b"12345", signed.encode(), hashlib.sha1).digest()
    headers = {"host": host, "x-twilio-signature": base64.b64encode(mac).decode()}
    named = {key.replace("_", "-"): value for key, value in more.items()}
    try:
        TwilioGate("12345", ports=(*PORTS, 7001)).check(target, headers | named)
    except Problem:
        return False
    return True


@pytest.mark.parametrize("port", ["", ":443", ":8443", ":7001"])
@pytest.mark.parametrize("host", ["monitor.example", "monitor.example:443", "monitor.example:8443"])
def test_twilio_may_sign_the_port_or_not(port: str, host: str) -> None:
    """Twilio's own helper libraries try the URL with and without its port (twilio-python 9), and
    proxies put one into Host or take it out."""
    for scheme in ("wss", "https"):
        assert twilio_lets_in(f"{scheme}://monitor.example{port}/telephony/twilio", host)
        assert twilio_lets_in(f"{scheme}://monitor.example{port}/telephony/twilio/", host)


def test_twilio_only_the_port_may_differ() -> None:
    url = "wss://monitor.example:7999/telephony/twilio"
    assert not twilio_lets_in(url, "monitor.example")
    assert twilio_lets_in(url, "monitor.example:7999")
    assert twilio_lets_in(url, "monitor.example", x_forwarded_port="7999")
    assert twilio_lets_in("wss://[::1]:8443/telephony/twilio", "[::1]")
    for signed, host in (
        ("wss://other.example/telephony/twilio", "monitor.example:8443"),
        ("wss://monitor.example:8443/telephony/plivo", "monitor.example:8443"),
        ("wss://monitor.example:8443.evil.example/telephony/twilio", "monitor.example"),
        ("wss://monitor.example/telephony/twilio", "monitor.example@evil.example"),
        ("wss://monitor.example/telephony/twilio", ""),
        ("ftp://monitor.example/telephony/twilio", "monitor.example"),
    ):
        assert not twilio_lets_in(signed, host)
