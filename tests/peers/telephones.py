"""Two telephones made of SIPp: one calls, holds and hangs up, the other answers; both speak."""

from pathlib import Path

from tests.e2e.rig.process import Process, free_port
from tests.e2e.rig.sipp import AGENT, CALLER

_SDP = """v=0
o=phone 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 13 101
a=rtpmap:0 PCMU/8000
a=rtpmap:13 CN/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a={direction}
"""
_REQUEST = f"""{{method}} {{uri}} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
{{routes}}From: <sip:{CALLER}>;tag=[pid]a[call_number]
To: <sip:{AGENT}>{{to}}
Call-ID: [call_id]
CSeq: {{number}} {{method}}
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
"""
_ANSWER = """SIP/2.0 {status}
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:agent7@[local_ip]:[local_port]>
"""


def _send(head: str, body: str = "", again: bool = True) -> str:
    kind = "Content-Type: application/sdp\n" if body else ""
    retrans = ' retrans="500"' if again else ""
    return f"<send{retrans}><![CDATA[\n\n{head}{kind}Content-Length: [len]\n\n{body}\n]]></send>"


def _request(method: str, number: int, body: str = "") -> str:
    first = method == "INVITE" and number == 1
    head = _REQUEST.format(
        method=method,
        number=number,
        uri=f"sip:{AGENT}" if first else "[next_url]",
        routes="" if first else "[routes]\n",
        to="" if first else "[peer_tag_param]",
    )
    return _send(head, body, method != "ACK")


def _answer(status: str, body: str = "", tagged: bool = False) -> str:
    head = _ANSWER.format(status=status, tag=";tag=[pid]b" if tagged else "")
    return _send(head, body, bool(body))


def _sdp(version: int, direction: str) -> str:
    return _SDP.format(version=version, direction=direction)


def _pause(seconds: float) -> str:
    return f'<pause milliseconds="{round(seconds * 1000)}"/>'


def _speak(sound: Path) -> str:
    return f'<nop><action><exec rtp_stream="{sound},1,0,PCMU/8000"/></action></nop>'


def _invite(number: int, direction: str) -> list[str]:
    return [
        _request("INVITE", number, _sdp(number, direction)),
        '<recv response="100" optional="true"/>',
        '<recv response="180" optional="true"/>',
        '<recv response="200" rrs="true"/>',
        _request("ACK", number),
    ]


def caller(sound: Path, before: float, hold: float, after: float) -> list[str]:
    """Calls for `before` seconds, holds, goes on for `after` seconds and hangs up."""
    return [
        *_invite(1, "sendrecv"),
        _speak(sound),
        _pause(before),
        *_invite(2, "sendonly"),
        _pause(hold),
        *_invite(3, "sendrecv"),
        _pause(after),
        _request("BYE", 4),
        '<recv response="200"/>',
    ]


def callee(sound: Path) -> list[str]:
    """Answers, is held and let go on, and is hung up on."""
    steps = [
        '<recv request="INVITE" rrs="true"/>',
        _answer("180 Ringing", tagged=True),
        _answer("200 OK", _sdp(1, "sendrecv"), tagged=True),
        '<recv request="ACK"/>',
        _speak(sound),
    ]
    for version, direction in ((2, "recvonly"), (3, "sendrecv")):
        steps += ['<recv request="INVITE"/>', _answer("200 OK", _sdp(version, direction))]
        steps.append('<recv request="ACK"/>')
    return [*steps, '<recv request="BYE"/>', _answer("200 OK")]


class Telephone(Process):
    """One call of one SIPp."""

    def __init__(self, folder: Path, name: str, steps: list[str], target: int, port: int) -> None:
        """`target`: port of the border controller; `port`: its own."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.xml"
        path.write_text('<?xml version="1.0"?>\n<scenario>\n' + "\n".join(steps) + "\n</scenario>")
        command = ["sipp", f"127.0.0.1:{target}", "-sf", str(path), "-m", "1", "-nostdin"]
        command += ["-i", "127.0.0.1", "-p", str(port), "-mp", str(free_port())]
        command += ["-trace_err", "-error_file", str(folder / f"{name}.err")]
        super().__init__(command, folder / f"{name}.log", {"TERM": "dumb"})
