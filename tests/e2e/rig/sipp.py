"""SIPp as a session recording client: it calls, tells who speaks, holds and hangs up."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.rig.process import Process, free_port, wait_until

Codec = tuple[int, str]
"""Payload type and encoding name."""
PCMU, PCMA, G729 = (0, "PCMU"), (8, "PCMA"), (18, "G729")
CALLER, AGENT = "+15550100@carrier.example", "agent7@desk.example"


def recorder(port: int) -> str:
    """Settings of a recorder at `port` that scores both parties; the agent is our side."""
    return f"""
[telephony]
score = "both"
[telephony.siprec]
port = {port}
agents = ["sip:*@desk.example"]
"""


METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
<datamode>complete</datamode>
<session session_id="hVpd7YQgRW2nD22h7q60JQ=="><sipSessionID>{session}</sipSessionID></session>
<participant participant_id="srfBElmCRp2QB23b7Mpk0w==">
<nameID aor="sip:+15550100@carrier.example"><name xml:lang="en">Caller</name></nameID>
</participant>
<participant participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
<nameID aor="sip:agent7@desk.example"><name xml:lang="en">Agent</name></nameID>
</participant>
<stream stream_id="UAAMm5GRQKSCMVvLyl4rFw==" session_id="hVpd7YQgRW2nD22h7q60JQ==">
<label>1</label></stream>
<stream stream_id="i1Pz3to5hGk8fuXl+PbwCw==" session_id="hVpd7YQgRW2nD22h7q60JQ==">
<label>2</label></stream>
<participantstreamassoc participant_id="srfBElmCRp2QB23b7Mpk0w==">
<send>UAAMm5GRQKSCMVvLyl4rFw==</send></participantstreamassoc>
<participantstreamassoc participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
<send>i1Pz3to5hGk8fuXl+PbwCw==</send></participantstreamassoc>
</recording>
"""

_SDP = """v=0
o=SRC 1 {version} IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio 6000 {profile} {one[0]} 13 101
a=rtpmap:{one[0]} {one[1]}/8000
{beside}a=label:1
a={direction}
{crypto}m=audio 6002 {profile} {two[0]} 13 101
a=rtpmap:{two[0]} {two[1]}/8000
{beside}a=label:2
a={direction}
{crypto}"""

_BESIDE = "a=rtpmap:13 CN/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n"
"""Comfort noise and key presses, as telephones offer them."""

_HEADERS = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:src@[local_ip]:[local_port]>;tag=[pid]src[call_number]
To: <sip:srs@[remote_ip]:[remote_port]>{to}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:src@[local_ip]:[local_port];transport=[transport]>;+sip.src
Max-Forwards: 70
"""

_HEAR = """<action>
<ereg regexp="m=audio ([0-9]+)" search_in="body" check_it="true" assign_to="_,one"/>
<ereg regexp="m=audio [0-9]+.*m=audio ([0-9]+)" search_in="body" check_it="true" assign_to="_,two"/>
<ereg regexp="telephone-event/8000.*telephone-event/8000" search_in="body" check_it="true"
 assign_to="_"/>
<ereg regexp="a=label:1.*a={taken}.*a=label:2.*a={taken}" search_in="body" check_it="true"
 assign_to="_"/>
<log message="ports [$one] [$two]"/>
</action>"""


def _message(text: str, retransmits: bool = True) -> str:
    again = ' retrans="500"' if retransmits else ""
    return f"<send{again}><![CDATA[\n\n{text}\n\n]]></send>"


def _request(method: str, number: int, more: str = "", body: str = "") -> str:
    head = _HEADERS.format(to="[peer_tag_param]", number=number, method=method)
    uri = "[next_url]" if number > 1 else "sip:srs@[remote_ip]:[remote_port]"
    length = "Content-Length: [len]" if body else "Content-Length: 0"
    text = f"{method} {uri} SIP/2.0\n{head}[routes]\n{more}{length}\n\n{body}"
    return _message(text.replace("[routes]\n", "[routes]\n" if number > 1 else ""), method != "ACK")


@dataclass(frozen=True)
class Offer:
    """What stays the same in every offer of a session."""

    metadata: str
    key: str
    """Of SRTP in base64; "" for RTP."""
    codecs: tuple[Codec, Codec]


def _offer(version: int, direction: str, offer: Offer) -> str:
    crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{offer.key}\n" if offer.key else ""
    one, two = offer.codecs
    sdp = _SDP.format(
        version=version,
        direction=direction,
        crypto=crypto,
        beside=_BESIDE,
        profile="RTP/SAVP" if offer.key else "RTP/AVP",
        one=one,
        two=two,
    )
    sdp = f"--part\nContent-Type: application/sdp\n\n{sdp}"
    more = "Content-Type: application/rs-metadata+xml\nContent-Disposition: recording-session"
    return f"{sdp}--part\n{more}\n\n{offer.metadata}--part--\n"


def _invite(number: int, version: int, direction: str, offer: Offer) -> str:
    more = (
        "Require: siprec\nSupported: timer\nSession-Expires: 1800\n"
        "Content-Type: multipart/mixed;boundary=part\n"
    )
    taken = "inactive" if direction == "inactive" else "recvonly"
    return "\n".join([
        _request("INVITE", number, more, _offer(version, direction, offer)),
        '<recv response="100" optional="true"/>',
        f'<recv response="200" rrs="true">{_HEAR.format(taken=taken)}</recv>',
        _request("ACK", number),
    ])  # fmt: skip


def scenario(
    session: str,
    seconds: float,
    hold: float = 0.0,
    after: float = 0.0,
    key: str = "",
    codecs: tuple[Codec, Codec] = (PCMU, PCMA),
) -> str:
    """A session of `seconds`; then a hold and some more, if wanted. `key` is SRTP's in base64."""
    offer = Offer(METADATA.format(session=session), key, codecs)
    steps = [_invite(1, 1, "sendonly", offer), _pause(seconds)]
    number = 2
    if hold:
        steps += [_invite(2, 2, "inactive", offer), _pause(hold)]
        steps += [_invite(3, 3, "sendonly", offer), _pause(after)]
        number = 4
    steps += [_request("BYE", number), '<recv response="200"/>']
    body = "\n".join(steps)
    head = '<?xml version="1.0" encoding="ISO-8859-1"?>'
    return f'{head}\n<scenario name="record">\n{body}\n</scenario>'


def _pause(seconds: float) -> str:
    return f'<pause milliseconds="{round(seconds * 1000)}"/>'


class Sipp(Process):
    """One call; `ports` are those that the answer names."""

    def __init__(self, folder: Path, port: int, text: str, transport: str = "u1") -> None:
        """`port` of the recorder; `transport`: u1 for UDP, t1 for TCP."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scenario.xml").write_text(text)
        self._heard = folder / "heard.log"
        own = free_port()
        command = ["sipp", f"127.0.0.1:{port}", "-sf", str(folder / "scenario.xml"), "-m", "1"]
        command += ["-t", transport, "-i", "127.0.0.1", "-p", str(own), "-nostdin"]
        command += ["-trace_logs", "-log_file", str(self._heard)]
        command += ["-trace_err", "-error_file", str(folder / "errors.log")]
        command += ["-trace_msg", "-message_file", str(folder / "messages.log")]
        self.messages = folder / "messages.log"
        super().__init__(command, folder / "sipp.log", {"TERM": "dumb"})

    def wait_ports(self) -> tuple[int, int]:
        """Where the two parties' voices are to be sent."""

        def look() -> list[tuple[str, str]]:
            text = self._heard.read_text() if self._heard.exists() else ""
            return re.findall(r"ports (\d+) (\d+)", text)

        self.wait_ready(look, 10)
        one, two = wait_until(look, 1, "an answer")[0]
        return int(one), int(two)

    def wait_end(self, timeout: float) -> None:
        """Wait until the call is over; raises AssertionError if it did not go as it should."""
        wait_until(lambda: not self.running, timeout, "the end of SIPp")
        words = self.messages.read_text() if self.messages.exists() else ""
        assert self.returncode == 0, self.said()[-2000:] + words[-3000:]
