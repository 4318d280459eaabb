"""A session recording server and a client that does what it should, or should not."""

import asyncio
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pylibsrtp
import pytest
from aiosipua import (
    SipDigestAuth,
    SipRequest,
    SipResponse,
    build_credentials,
    parse_auth,
    stringify_auth,
)

from monitor.calls.stages import Stages
from monitor.ingest.siprec.siprec_source import SiprecSource
from monitor.sip import presence, recording, transaction, transport
from monitor.sip.digest import Digest
from monitor.sip.server import server_context
from monitor.types import LostReason
from tests.certificates import Issuer, certificate
from tests.fakes import stages
from tests.flow.sip import (
    Wanted,
    listen,
    metadata,
    multipart,
    packets,
    ports,
    rig,
    sdp,
    send,
)

CALLER, AGENT = "+15550100@carrier.example", "agent7@desk.example"
OURS = Wanted(agents=("sip:*@desk.example",))


@pytest.fixture(scope="module")
def parts() -> Iterator[Stages]:
    found = stages()
    yield found
    found.executor.close()


async def test_both_parties_of_a_call_are_heard_and_named(parts: Stages) -> None:
    async with rig(parts, Wanted(both=True)) as r:
        client = await r.dial()
        one, two = await client.open()
        await asyncio.gather(send(one, packets(4)), send(two, packets(4, 2)))
        ended = await client.answer(client.request("BYE"))
        assert ended.status_code == 200
        call = await r.over()
    assert (call.ingest, call.ended, call.label) == ("siprec", "ended", "abc")
    assert [tracks.participant for tracks, _ in call.participants] == [CALLER, AGENT]
    for _, verdict in call.participants:
        assert verdict is not None
        spent = verdict.seconds
        assert spent.scored + spent.unmonitored == pytest.approx(4, abs=0.3)
        assert sum(spent.lost.values()) < 0.3


async def test_of_both_sides_the_remote_one_is_scored(parts: Stages) -> None:
    async with rig(parts, OURS) as r:
        client = await r.dial()
        one, two = await client.open()
        await asyncio.gather(send(one, packets(1)), send(two, packets(1, 2)))
        client.request("BYE")
        call = await r.over()
        assert [tracks.participant for tracks, _ in call.participants] == [CALLER]
        # At first only our side is up: the caller's stream comes with an update.
        other = await r.dial()
        (ours,) = await other.open(sdp("2"))
        await send(ours, packets(0.5, 2))
        answer = await other.answer(other.invite(sdp("2", "1")))
        other.request("ACK")
        assert ports(answer)[0] == ours
        await send(ports(answer)[1], packets(1))
        other.request("BYE")
        joined = await r.over()
        assert [tracks.participant for tracks, _ in joined.participants] == [CALLER]


async def test_what_is_sent_twice_is_done_once(parts: Stages) -> None:
    async with rig(parts) as r:
        client = await r.dial()
        sent: list[bytes] = []
        really, client._send = client._send, sent.append
        branch = client.invite()
        (invite,) = sent
        client._send = really
        really(invite)
        await client.answer(branch)
        really(invite)
        await asyncio.sleep(1.8)
        answers = [m for m in client.heard if isinstance(m, SipResponse)]
        # Twice as it was asked twice, and twice of itself as it was not acknowledged.
        assert len(answers) >= 4
        assert len({bytes(m) for m in answers}) == 1
        assert r.registry.active == 1
        client.request("ACK")
        await asyncio.sleep(0.1)
        heard = len(client.heard)
        await asyncio.sleep(1.5)
        assert len(client.heard) == heard


def warning(response: SipResponse) -> str:
    return response.headers.get_first("warning") or ""


BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("a call of no recorder", {"headers": [], "body": sdp()}, 421, "siprec"),
    ("extension", {"headers": ["Require: siprec, magic"], "body": sdp()}, 420, "magic"),
    ("nothing", {"body": ""}, 488, "must bring an offer"),
    ("not SDP", {"body": "hello"}, 488, "v=0"),
    ("broken SDP", {"body": sdp().replace("6000", "port")}, 488, "cannot be parsed"),
    ("video", {"body": sdp().replace("m=audio", "m=video")}, 488, "no m=audio"),
    ("codec", {"body": sdp(pt=4)}, 488, "pcmu"),
    ("SRTP without key", {"body": sdp(profile="RTP/SAVP")}, 488, "SDES"),
    ("type", {"body": "x", "kind": "text/plain"}, 415, "neither SDP nor metadata"),
    ("boundary", {"body": "x", "kind": "multipart/mixed"}, 400, "boundary"),
    ("timer", {"body": sdp(), "headers": ["Require: siprec", "Session-Expires: 30"]}, 422, "short"),
]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    issuer = Issuer.new(folder, "clients")
    return server_context(certificate(folder, "127.0.0.1", issuer=issuer), None, issuer.path)


async def test_bad_requests_are_refused_with_the_cause(parts: Stages) -> None:
    async with rig(parts) as r:
        for name, request, status, words in BAD:
            # The largest do not fit into a datagram.
            client, reader, writer = await r.connect()
            listening = asyncio.create_task(listen(client, reader))
            body, kind = request.get("body"), request.get("kind", "application/sdp")
            headers = request.get("headers", ["Require: siprec"])
            sent = client.request("INVITE", f"Content-Type: {kind}", *headers, body=body or "")
            answer = await client.answer(sent)
            assert answer.status_code == status, (name, answer.serialize())
            assert words in warning(answer), (name, answer.serialize())
            assert r.registry.active == 0
            listening.cancel()
            writer.close()


BOMB = '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><recording>&b;</recording>'


@pytest.mark.parametrize(
    ("who", "names", "odd"),
    [
        ("<recording", ["stream 1", "stream 2"], True),
        ("<html/>", ["stream 1", "stream 2"], True),
        (BOMB, ["stream 1", "stream 2"], True),
        (f"<recording>{' ' * 70_000}</recording>", ["stream 1", "stream 2"], True),
        ("<recording><stream/></recording>", ["stream 1", "stream 2"], True),
        (metadata("partial"), [CALLER, AGENT], False),
        (metadata("whole"), [CALLER, AGENT], True),
        (metadata().replace("</recording>", "<stream stream_id=''/></recording>"),
         [CALLER, AGENT], True),
    ],
)  # fmt: skip
async def test_a_call_is_taken_whatever_is_wrong_with_its_metadata(
    parts: Stages, who: str, names: list[str], odd: bool
) -> None:
    """A border controller that is refused does not ask again. Avaya's SBCE 8 sends a stream with
    an empty id while one leg is up (by report)."""
    async with rig(parts, Wanted(both=True)) as r:
        client, reader, writer = await r.connect()
        listening = asyncio.create_task(listen(client, reader))
        one, two = await client.open(sdp(), who)
        await asyncio.gather(send(one, packets(0.5)), send(two, packets(0.5, 2)))
        client.request("BYE")
        call = await r.over()
        listening.cancel()
        writer.close()
    assert [tracks.participant for tracks, _ in call.participants] == names
    labels = {"ingest": "siprec", "kind": "metadata"}
    assert bool(r.metrics.registry.get_sample_value("monitor_anomalies_total", labels)) == odd


DRAFT = """<?xml version="1.0" encoding="UTF-8"?>
<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>complete</dataMode>
<session id="urn:uuid:s"><start-time>2026-01-01T10:00:00+00:00</start-time></session>
<participant id="urn:uuid:p1" session="urn:uuid:s"><aor>sip:15550100@caller.example</aor>
<send><id>urn:uuid:t</id></send></participant>
<participant id="urn:uuid:p2" session="urn:uuid:s"><aor>sip:7711@desk.example;user=phone</aor>
<send><id>urn:uuid:t</id></send></participant>
<stream id="urn:uuid:t" session="urn:uuid:s"><label>1</label><mode>mixed</mode></stream>
</recording_metadata>"""


@pytest.mark.parametrize(
    ("headers", "contact", "bodies", "status"),
    [
        ((), "", (("application/sdp", sdp("1")), ("application/rs-metadata+xml", DRAFT)), 200),
        (("Supported: ",), ";src", (("application/sdp", sdp("1")),), 200),
        ((), ";+sip.src", (("application/sdp", sdp("1")),), 200),
        ((), ';+sip.src="TRUE"', (("application/sdp", sdp("1")),), 200),
        (("Supported: siprec",), "", (("application/sdp", sdp("1")),), 200),
        (("Require: siprec, record-aware",), "", (("application/sdp", sdp("1")),), 200),
        ((), "", (("application/sdp", sdp("1")), ("application/xml", DRAFT)), 200),
        ((), "", (("application/sdp", sdp("1")), ("application/rs-metadata+xml", "?")), 200),
        (("Supported: timer",), ";srcx", (("application/sdp", sdp("1")),), 421),
    ],
)
async def test_who_wants_to_record_may_say_so_in_any_way(
    parts: Stages,
    headers: tuple[str, ...],
    contact: str,
    bodies: tuple[tuple[str, str], ...],
    status: int,
) -> None:
    """BroadWorks R22 and Webex Calling speak a draft: no `Require: siprec`, `;src` in Contact, the
    root `recording_metadata` (by report; draft-ietf-siprec-metadata)."""
    async with rig(parts) as r:
        client = await r.dial()
        client.contact = contact
        kind = 'Content-Type: multipart/mixed; boundary="part"'
        sent = client.request("INVITE", kind, *headers, body=multipart(*bodies))
        answer = await client.answer(sent)
        assert answer.status_code == status, answer.serialize()
        if status != 200:
            return
        client.request("ACK")
        await send(ports(answer)[0], packets(0.5))
        client.request("BYE")
        call = await r.over()
        named = DRAFT in dict(bodies).values()
        who = "15550100@caller.example+7711@desk.example" if named else "stream 1"
        assert [tracks.participant for tracks, _ in call.participants] == [who]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: text.rindex("--part--")],
        lambda text: text.replace("application/sdp", "application/SDP ; charset=utf-8"),
        lambda text: text.replace("Content-Type: application/sdp\r\n", "", 1),
        lambda text: "\r\n" + text,
    ],
)
async def test_bodies_as_devices_write_them(parts: Stages, spoil: Callable[[str], str]) -> None:
    async with rig(parts) as r:
        for kind in ('multipart/mixed; boundary="part"', "multipart/mixed"):
            client = await r.dial()
            bodies = multipart(
                ("application/sdp", sdp()), ("application/rs-metadata+xml", metadata())
            )
            headers = (f"Content-Type: {kind}", "Require: siprec")
            answer = await client.answer(client.request("INVITE", *headers, body=spoil(bodies)))
            assert answer.status_code == 200, answer.serialize()
            client.request("ACK")
            (call,) = [c for c in r.registry if c.ended is None]
            assert call.label == "abc"
            client.request("BYE")
            await r.over()


async def test_one_unreadable_message_does_not_end_a_connection_that_carries_calls(
    parts: Stages,
) -> None:
    async with rig(parts) as r:
        client, reader, writer = await r.connect()
        listening = asyncio.create_task(listen(client, reader))
        writer.write(
            b"INVITE sip:srs@127.0.0.1 SIP/2.0\r\nCall-ID: x\r\nContent-Length: 2\r\n\r\nhi"
        )
        # One that does not say how long its body is has none.
        lines = [
            "OPTIONS sip:srs@127.0.0.1 SIP/2.0",
            "Via: SIP/2.0/TCP 1.1.1.1;branch=z9hG4bKx",
            "From: <sip:a@b>;tag=1",
            "To: <sip:srs@b>",
            "Call-ID: o",
            "CSeq: 1 OPTIONS",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        assert (await client.answer("z9hG4bKx")).status_code == 200
        assert len(await client.open()) == 2
        listening.cancel()
        writer.close()


async def test_sections_that_cannot_be_received_are_refused_alone(parts: Stages) -> None:
    more = (
        "m=video 7000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=label:9\r\n"
        "m=image 7002 udptl t38\r\nm=audio 0 RTP/AVP 0\r\na=label:7\r\n"
        "m=audio 7004 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n"
        "m=audio 7006 RTP/AVP 96\r\na=rtpmap:96 EVS/16000\r\na=label:8\r\n"
        "m=application 7008 TCP/MSRP *\r\n"
    )
    async with rig(parts) as r:
        client = await r.dial()
        found = await client.open(sdp("1", "1") + more)
        assert found[2:] == (0,) * 6
        # Two of one label are two streams.
        assert len({*found[:2]} - {0}) == 2
        labels = {"ingest": "siprec", "kind": "section"}
        assert r.metrics.registry.get_sample_value("monitor_anomalies_total", labels)


async def test_amr_is_agreed_to_as_it_was_offered_and_heard(parts: Stages) -> None:
    offer = sdp("1", "2", pt=96, more="a=rtpmap:96 AMR/8000\r\na=fmtp:96 octet-align=1\r\n")
    encoder = av.CodecContext.create("libopencore_amrnb", "w")
    encoder.sample_rate, encoder.format, encoder.layout = 8_000, "s16", "mono"
    encoder.bit_rate = 12_200
    noise = np.random.default_rng(1).integers(-9000, 9000, (150, 160)).astype("<i2")
    voice: list[bytes] = []
    for number, samples in enumerate(noise):
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate, frame.pts = 8_000, number * 160
        for packet in encoder.encode(frame):
            head = struct.pack(">BBHII", 0x80, 96, len(voice), len(voice) * 160, 5)
            voice.append(head + b"\xf0" + bytes(packet))
    async with rig(parts, Wanted(both=True)) as r:
        client = await r.dial()
        answer = await client.answer(client.invite(offer))
        client.request("ACK")
        assert answer.text.count("a=rtpmap:96 AMR/8000\r\na=fmtp:96 octet-align=1\r\n") == 2
        await send(ports(answer)[0], voice)
        client.request("BYE")
        call = await r.over()
    seconds = [verdict.seconds.scored for _, verdict in call.participants if verdict is not None]
    assert max(seconds) > 2.5


@pytest.mark.parametrize("pt", [0, 8])
async def test_key_presses_and_comfort_noise_are_agreed_to_and_not_listened_to(
    parts: Stages, pt: int
) -> None:
    """rtpengine 10.5 refuses the whole subscription if the answer lacks the telephone-event that a
    telephone offered."""
    offer = sdp("1", "2", pt=pt).replace(
        f"RTP/AVP {pt}\r\n",
        f"RTP/AVP {pt} 13 101 110\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
        "a=rtpmap:110 telephone-event/48000\r\n",
    )
    async with rig(parts, Wanted(both=True)) as r:
        client = await r.dial()
        answer = await client.answer(client.invite(offer))
        client.request("ACK")
        assert answer.text.count(f" RTP/AVP {pt} 13 101 110\r\n") == 2
        for line in ("rtpmap:101 telephone-event/8000", "fmtp:101 0-16", "rtpmap:13 CN/8000"):
            assert answer.text.count(f"a={line}\r\n") == 2
        one, two = ports(answer)
        voice = packets(3)
        if pt == 8:
            voice = [bytes([p[0], 8]) + p[2:] for p in voice]
        for n in range(40, 60):
            # A key is pressed: the sound stops, and the event's packets take its numbers.
            kind, event = (
                (101, b"\5\x0a" + (160 * (n - 39)).to_bytes(2, "big")) if n > 41 else (13, b"\x40")
            )
            voice[n] = bytes([0x80, kind]) + voice[n][2:4] + voice[40][4:12] + event
        await asyncio.gather(send(one, voice), send(two, voice))
        client.request("BYE")
        call = await r.over()
    for _, verdict in call.participants:
        assert verdict is not None
        spent = verdict.seconds
        assert spent.scored + spent.unmonitored == pytest.approx(3, abs=0.3)
        assert sum(spent.lost.values()) < 0.1


async def test_a_client_that_is_silent_is_asked_whether_it_is_there(
    parts: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holds are not always told: many controllers just send no more packets."""
    monkeypatch.setattr(presence, "ASK_AFTER", 1.0)
    monkeypatch.setattr(transaction, "LIFETIME", 2.0)
    async with rig(parts) as r:
        there, gone = await r.dial(), await r.dial()
        one, _ = await there.open()
        await gone.open()
        await send(one, packets(0.5))
        async with asyncio.timeout(20):
            while r.registry.active == 2:
                with suppress(TimeoutError):
                    await there.asked("OPTIONS", 1.0)
                    there.heard.clear()
        (left,) = [c for c in r.registry if c.ended is not None]
        assert (left.ended, left.media) == ("disconnected", False)
        # The session has ended, its client says.
        there.refuses = 481
        await there.asked("OPTIONS", 10.0)
        assert (await r.over()).ended == "disconnected"


async def test_an_association_that_has_ended_leaves_the_stream_to_whom_comes_next(
    parts: Stages,
) -> None:
    """A partial update of RFC 7865 says what has changed: here by `disassociate-time`."""
    over = "<disassociate-time>2026-01-01T10:00:00Z</disassociate-time>"
    async with rig(parts, OURS) as r:
        client = await r.dial()
        one, _ = await client.open()
        await send(one, packets(1))
        # On hold nobody is heard in it, and it stays the caller's.
        ended = (
            '<recording><datamode>partial</datamode><participantstreamassoc participant_id="p1">'
            f"<send>s1</send>{over}</participantstreamassoc></recording>"
        )
        await client.answer(client.invite(sdp(direction="inactive"), ended))
        client.request("ACK")
        await asyncio.sleep(1)
        back = metadata("partial", label_1=("p3", "sip:bob@biloxi.example"))
        answer = await client.answer(client.invite(sdp(), back))
        client.request("ACK")
        await send(ports(answer)[0], packets(1, first=50))
        client.request("BYE")
        call = await r.over()
    assert [tracks.participant for tracks, _ in call.participants] == [
        CALLER,
        "bob@biloxi.example",
    ]
    (_, verdict) = call.participants[0]
    assert verdict is not None
    assert verdict.seconds.lost[LostReason.PAUSED] == pytest.approx(1.0, abs=0.5)


async def test_what_belongs_to_no_session_is_told_so(parts: Stages) -> None:
    async with rig(parts) as r:
        client = await r.dial()
        for method, status in (("BYE", 481), ("UPDATE", 481), ("SUBSCRIBE", 405), ("OPTIONS", 200)):
            assert (await client.answer(client.request(method))).status_code == status
        about = [m for m in client.heard if isinstance(m, SipResponse)][-1]
        assert "siprec" in about.headers.get("supported")
        assert "multipart/mixed" in about.headers.get("accept")
        await client.open()
        stranger = await r.dial()
        stranger.call_id, stranger.to_tag = client.call_id, client.to_tag
        assert (await stranger.answer(stranger.request("BYE"))).status_code == 481
        old = await client.answer(client.request("UPDATE", number=1))
        assert (old.status_code, "CSeq" in warning(old)) == (500, True)
        assert r.registry.active == 1


async def test_a_full_machine_says_when_to_try_again(parts: Stages) -> None:
    async with rig(parts, Wanted(limit=1)) as r:
        first, second = await r.dial(), await r.dial()
        await first.open()
        answer = await second.answer(second.invite())
        assert answer.status_code == 503
        assert answer.headers.get_first("retry-after") == "10"
    async with rig(parts, Wanted(rtp_ports=(41_000, 41_003))) as r:
        first, second = await r.dial(), await r.dial()
        await first.open()
        answer = await second.answer(second.invite())
        assert answer.status_code == 503
        assert "telephony.siprec.rtp_ports" in warning(answer)
        first.request("BYE")
        await r.over()
        await second.open()


async def test_strangers_get_no_answer_and_send_no_media(parts: Stages) -> None:
    async with rig(parts, Wanted(peers=("10.0.0.0/8",))) as r:
        client = await r.dial()
        with pytest.raises(TimeoutError):
            await client.answer(client.invite(), 1.0)
        _, reader, _ = await r.connect()
        assert await asyncio.wait_for(reader.read(), 5) == b""


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
async def test_with_a_password_it_must_be_proven(parts: Stages, algorithm: str) -> None:
    async with rig(parts, Wanted(digest=Digest("sbc", "a password"))) as r:
        client = await r.dial()

        async def attempt(password: str, given: str = "") -> tuple[SipResponse, str]:
            asked = await client.answer(client.invite())
            assert asked.status_code == 401
            (challenge,) = [
                c for c in map(parse_auth, asked.headers.get("www-authenticate"))
                if c.params["algorithm"] == algorithm
            ]  # fmt: skip
            account = SipDigestAuth("sbc", password)
            made = build_credentials(account, challenge, "INVITE", "sip:srs@127.0.0.1")
            assert made is not None
            words = given or stringify_auth(made)
            sent = client.invite(None, None, f"Authorization: {words}")
            return await client.answer(sent), words

        assert (await attempt("another"))[0].status_code == 401
        right, words = await attempt("a password")
        assert right.status_code == 200
        client.request("ACK")
        # Whoever reads them cannot use them again, nor for a call of its own.
        read, client = client.call_id, await r.dial()
        client.call_id = read
        assert (await attempt("", words))[0].status_code == 401
        client = await r.dial()
        stolen, _ = await attempt("", words)
        assert stolen.status_code == 401
        assert 'stale="true"' in stolen.serialize() or "stale=true" in stolen.serialize()
        assert r.registry.active == 1


async def test_a_hold_is_a_pause_and_time_goes_on(parts: Stages) -> None:
    async with rig(parts, OURS) as r:
        client = await r.dial()
        one, _ = await client.open()
        await send(one, packets(1.5))
        held = await client.answer(client.invite(sdp(direction="inactive")))
        client.request("ACK")
        assert held.text.count("a=inactive") == 2
        # What comes all the same is not listened to.
        await send(one, packets(1.5, first=100))
        back = await client.answer(client.invite())
        client.request("ACK")
        assert ports(back) == (one, ports(held)[1])
        await send(one, packets(2, first=175))
        client.request("BYE")
        call = await r.over()
    (_, verdict) = call.participants[0]
    assert verdict is not None
    spent = verdict.seconds
    assert spent.lost[LostReason.PAUSED] == pytest.approx(1.5, abs=0.3)
    assert sum(spent.lost.values()) - spent.lost[LostReason.PAUSED] < 0.3
    assert spent.scored + spent.unmonitored == pytest.approx(5, abs=0.4)


async def test_the_metadata_may_name_another_and_streams_may_come_and_go(parts: Stages) -> None:
    async with rig(parts, OURS) as r:
        client = await r.dial()
        one, _ = await client.open()
        await send(one, packets(1))
        # The call is transferred: somebody else is heard in the first stream.
        who = metadata("partial", label_1=("p3", "sip:bob@biloxi.example")).replace(
            "</recording>",
            '<participantstreamassoc participant_id="p1"></participantstreamassoc></recording>',
        )
        kind = "Content-Type: application/rs-metadata+xml"
        assert (await client.answer(client.request("UPDATE", kind, body=who))).status_code == 200
        await send(one, packets(1, first=50))
        # And a third party joins, in a stream of its own.
        third = metadata("partial", label_3=("p4", "sip:carol@chicago.example"))
        answer = await client.answer(client.invite(sdp("1", "2", "3"), third))
        client.request("ACK")
        assert len(set(ports(answer))) == 3
        await send(ports(answer)[2], packets(1, 3))
        # It leaves, and its ports are free again.
        gone = sdp("1", "2", "3").replace("m=audio 6004", "m=audio 0")
        answer = await client.answer(client.invite(gone, third))
        client.request("ACK")
        assert ports(answer)[2] == 0
        client.request("BYE")
        call = await r.over()
    names = [tracks.participant for tracks, _ in call.participants]
    assert names == [CALLER, "bob@biloxi.example", "carol@chicago.example"]
    # Who has left is not missed.
    assert [tracks.audio for tracks, _ in call.participants] == [False, True, False]
    assert call.participants[0][1] is not None
    assert sum(call.participants[0][1].seconds.lost.values()) < 0.3


async def test_the_client_hears_when_monitoring_ends_here(parts: Stages) -> None:
    async with rig(parts, Wanted(idle=1.0)) as r:
        client = await r.dial()
        one, _ = await client.open()
        await send(one, packets(0.5))
        bye = await client.asked("BYE")
        assert (bye.call_id, (await r.over()).ended) == (client.call_id, "idle")
        silent = await r.dial()
        await silent.open()
        await silent.asked("BYE")
        assert (await r.over()).ended == "no_media"
        stopped = await r.dial()
        await stopped.open()
        (call,) = [c for c in r.registry if c.ended is None]
        await r.registry.stop(call.id)
        await stopped.asked("BYE")
        last = await r.dial()
        await last.open()
    assert [m.method for m in last.heard if isinstance(m, SipRequest)][:1] == ["BYE"]


async def test_sessions_are_refreshed_or_end(
    parts: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SHORTEST_TIMER", 1)
    async with rig(parts) as r:
        client = await r.dial()
        timer = "Session-Expires: 2;refresher={}"
        answer = await client.answer(
            client.invite(None, None, "Supported: timer", timer.format("uas"))
        )
        assert answer.headers.get_first("session-expires") == "2;refresher=uas"
        client.request("ACK")
        refresh = await client.asked("UPDATE")
        assert refresh.headers.get_first("session-expires") == "2;refresher=uas"
        other = await r.dial()
        await other.answer(other.invite(None, None, "Supported: timer", timer.format("uac")))
        other.request("ACK")
        await asyncio.sleep(1.5)
        other.request("UPDATE")
        await asyncio.sleep(1)
        assert r.registry.active == 2
        await other.asked("BYE")


async def test_an_invite_may_be_taken_back(parts: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    update = SiprecSource.update

    async def slow(self: SiprecSource, *arguments: Any) -> tuple[int, ...]:
        await asyncio.sleep(0.5)
        return await update(self, *arguments)

    monkeypatch.setattr(SiprecSource, "update", slow)
    async with rig(parts) as r:
        client = await r.dial()
        branch = client.invite()
        await asyncio.sleep(0.1)
        client.request("CANCEL", branch=branch)
        await asyncio.sleep(0.8)
        statuses = [m.status_code for m in client.heard if isinstance(m, SipResponse)]
        assert statuses[:2] == [200, 487]
        assert r.registry.active == 0


async def test_encrypted_media_is_heard_with_the_right_key_alone(parts: Stages) -> None:
    key, wrong = bytes(range(30)), bytes(30)
    inline = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
    crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{inline}|2^31|1:1\r\n"
    offer = sdp(profile="RTP/SAVP", more=crypto)
    async with rig(parts, Wanted(both=True, idle=2.0)) as r:
        client = await r.dial()
        answer = await client.answer(client.invite(offer))
        client.request("ACK")
        assert answer.text.count("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:") == 2
        assert inline not in answer.text

        def sealed(with_key: bytes, ssrc: int) -> list[bytes]:
            policy = pylibsrtp.Policy(with_key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
            session = pylibsrtp.Session(policy)
            return [session.protect(packet) for packet in packets(3, ssrc)]

        one, two = ports(answer)
        await asyncio.gather(send(one, sealed(key, 1)), send(two, sealed(wrong, 2)))
        client.request("BYE")
        call = await r.over()
    heard, unheard = (verdict for _, verdict in call.participants)
    assert heard is not None
    assert heard.seconds.scored > 1
    assert sum(heard.seconds.lost.values()) < 0.3
    assert unheard is None or unheard.seconds.scored == 0


async def test_tls_lets_in_who_shows_the_right_certificate(
    parts: Stages, context: ssl.SSLContext, tmp_path: Path
) -> None:
    folder = tmp_path
    issuer = Issuer.new(folder, "ours")
    server = server_context(certificate(folder, "127.0.0.1", issuer=issuer), None, issuer.path)
    async with rig(parts, Wanted(context=server)) as r:
        trusting = ssl.create_default_context(cafile=str(issuer.path))

        # In TLS 1.3 a client learns that it is not let in once it reads.
        client, reader, _ = await r.connect(trusting)
        client.request("OPTIONS")
        try:
            said = await reader.read()
        except (ssl.SSLError, ConnectionError):
            said = b""
        assert said == b""
        trusting.load_cert_chain(certificate(folder, "sbc.example", issuer=issuer))
        client, reader, writer = await r.connect(trusting)
        listening = asyncio.create_task(listen(client, reader))
        one, _ = await client.open()
        await send(one, packets(0.5))
        assert (await client.answer(client.request("BYE"))).status_code == 200
        contact = client.heard[0].headers.get_first("contact") or ""
        assert "transport=tls" in contact
        listening.cancel()
        writer.close()


async def test_streams_carry_messages_of_any_size_in_any_pieces(
    parts: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MESSAGE_SECONDS", 1.0)
    async with rig(parts) as r:
        client, reader, writer = await r.connect()
        listening = asyncio.create_task(listen(client, reader))
        sent: list[bytes] = []
        client._send = sent.append
        first, second = client.request("OPTIONS"), client.request("OPTIONS")
        both = b"".join(sent)
        writer.write(both[:100])
        await asyncio.sleep(0.1)
        writer.write(both[100:])
        assert (await client.answer(first)).status_code == 200
        assert (await client.answer(second)).status_code == 200
        listening.cancel()
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"

        async def closed(*pieces: bytes) -> float:
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", r.port)
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.05)
            try:
                await asyncio.wait_for(reader.read(), 5)
            except ConnectionError:
                pass
            writer.close()
            return time.monotonic() - began

        # Slowly, far too much, more than is said, and no SIP at all.
        assert 0.9 < await closed(b"OPTIONS sip:x SIP/2.0\r\n", *[b"X: 1\r\n"] * 5) < 3
        assert await closed(b"OPTIONS sip:x SIP/2.0\r\nX: " + b"x" * 200_000) < 1
        assert await closed(b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 999999\r\n\r\n") < 1
        assert await closed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") < 1
        # Those who are there already are not disturbed.
        client._send = writer.write
        listening = asyncio.create_task(listen(client, reader))
        assert (await client.answer(client.request("OPTIONS"))).status_code == 200
        listening.cancel()
        writer.close()


async def test_many_idle_connections_do_not_lock_others_out(
    parts: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_CONNECTIONS", 20)
    async with rig(parts) as r:
        idle = [await asyncio.open_connection("127.0.0.1", r.port) for _ in range(100)]
        reads = [asyncio.wait_for(reader.read(), 2) for reader, _ in idle]
        found = await asyncio.gather(*reads, return_exceptions=True)
        assert sum(isinstance(each, TimeoutError) for each in found) == 10  # of one address a half
        client = await r.dial()
        await client.open()
        for _, writer in idle:
            writer.close()
