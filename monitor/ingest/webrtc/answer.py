"""What the SDP answer asks of the sender beyond what aiortc writes. Pure text → text."""

import re
from collections.abc import Iterator

_BEST_FIRST = ("f", "full", "h", "hi", "high", "hd", "large")
"""Usual names of the largest simulcast layer, besides being the last: h is `high` without an f."""


def with_bitrates(answer: str, start: int, lowest: int, highest: int) -> str:
    """Add Chromium's hints, in kb/s, to the video codecs of an answer; 0 leaves one out.

    Without them its bandwidth estimate, which has only REMB to go by here, starts the call at a
    tenth of what the picture needs.
    """
    hints = {"start": start, "min": lowest, "max": highest}
    text = ";".join(f"x-google-{name}-bitrate={rate}" for name, rate in hints.items() if rate)
    if not text:
        return answer
    out: list[str] = []
    for section in _sections(answer):
        if not section.startswith("m=video"):
            out.append(section)
            continue
        for pt in re.findall(r"^a=rtpmap:(\d+) (?:VP8|H264)/", section, re.M | re.I):
            fmtp = re.compile(rf"^(a=fmtp:{pt} [^\r\n]*)", re.M)
            if fmtp.search(section):
                section = fmtp.sub(rf"\1;{text}", section, count=1)
            else:
                rtpmap = re.compile(rf"^(a=rtpmap:{pt} [^\r\n]*)(\r?\n)", re.M)
                section = rtpmap.sub(rf"\1\2a=fmtp:{pt} {text}\2", section, count=1)
        out.append(section)
    return "".join(out)


def with_one_layer(answer: str, offer: str) -> str:
    """Accept, of each simulcast video of the offer, only the layer worth looking at.

    An answer without simulcast gets the first layer, which is by habit the smallest.
    """
    offered = {_mid(section): section for section in _sections(offer)}
    out: list[str] = []
    for section in _sections(answer):
        rids = _sent_rids(offered.get(_mid(section), ""))
        if section.startswith("m=video") and len(rids) > 1 and _mid(section):
            rid = best_layer(rids)
            extmap = re.search(
                r"^a=extmap:\d+(?:/\w+)? urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r?$",
                offered[_mid(section)],
                re.M,
            )
            if extmap:
                section += extmap[0].rstrip() + "\r\n"
            section += f"a=rid:{rid} recv\r\na=simulcast:recv {rid}\r\n"
        out.append(section)
    return "".join(out)


def best_layer(rids: list[str]) -> str:
    """Return the layer with the largest picture, by name or else the last."""
    for name in _BEST_FIRST:
        for rid in rids:
            if rid.lower() == name:
                return rid
    return rids[-1]


def _sent_rids(section: str) -> list[str]:
    """Layers that the offer would send, in its order; the first of alternatives."""
    line = re.search(r"^a=simulcast:.*?\bsend (\S+)", section, re.M)
    if line is None:
        return []
    return [layer.split(",")[0].lstrip("~") for layer in line[1].split(";")]


def _mid(section: str) -> str:
    found = re.search(r"^a=mid:(\S+)", section, re.M)
    return found[1] if found else ""


def _sections(sdp: str) -> Iterator[str]:
    """The session part and each media part."""
    yield from re.split(r"(?m)^(?=m=)", sdp)
