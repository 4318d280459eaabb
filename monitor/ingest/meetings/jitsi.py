"""Meetings of Jitsi, as its bridge exports them: each endpoint's Opus packets in JSON.

After jitsi-videobridge's MediaJsonSerializer and jicoco's MediaJson, whose numbers come as text.
"""

import json
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.telephony.dialect import (
    Begin,
    Ended,
    Events,
    Message,
    MessageError,
    Packet,
    Reply,
    child,
    number,
    read_object,
    unpack,
    word,
)
from monitor.ingest.telephony.roster import Roster

_CODECS = frozenset({"opus", "g722", "pcmu", "pcma"})
_SILENT = frozenset({"info", "pong", "sources", "transcription-result"})
_MOST = 1000
"""Tags of one meeting."""


class JitsiParser(Events):
    """Reads one meeting's export."""

    def __init__(self) -> None:
        self._roster = Roster()
        self._tags: dict[str, tuple[str, str]] = {}
        """Endpoint and codec of each source, by its tag; no codec: one that is not decoded."""

    def opening(self) -> Iterator[Message]:
        """Begin: endpoints are told of when they are heard."""
        yield Begin("", (), meeting=True)

    def _event(self, data: str) -> Iterator[Message]:
        message = read_object(data)
        event = word(message, "event")
        if event == "media":
            yield from self._media(child(message, "media"))
        elif event == "start":
            yield from self._start(child(message, "start"))
        elif event == "ping":
            answer: dict[str, Any] = {"event": "pong"}
            asked = message.get("id")
            if isinstance(asked, int | str) and len(str(asked)) <= 40:
                answer["id"] = asked
            yield Reply(json.dumps(answer))
        elif event == "session-end":
            yield Ended()
        elif event not in _SILENT:
            yield Anomaly(AnomalyKind.EVENT, "event", event[:40] or "none")

    def _start(self, start: dict[str, Any]) -> Iterator[Message]:
        tag = word(start, "tag", "start.")
        endpoint = _endpoint(tag)
        custom = start.get("customParameters")
        if isinstance(custom, dict):
            endpoint = word(custom, "endpointId", "start.customParameters.") or endpoint
        format_ = start.get("mediaFormat")
        encoding = ""
        if isinstance(format_, dict):
            encoding = word(format_, "encoding", "start.mediaFormat.")
        codec = (encoding or "opus").lower()
        if codec not in _CODECS:
            yield Anomaly(
                AnomalyKind.FORMAT, "start.mediaFormat.encoding", f"{codec[:20]} is not heard"
            )
            codec = ""
        self._keep(tag, endpoint, codec)

    def _media(self, media: dict[str, Any]) -> Iterator[Message]:
        tag = word(media, "tag", "media.")
        if tag not in self._tags:
            yield Anomaly(AnomalyKind.TRACK, "media.tag", "was not announced, taken for Opus")
            self._keep(tag, _endpoint(tag), "opus")
        endpoint, codec = self._tags[tag]
        payload = unpack(media.get("payload"), "media.payload")
        if not payload or not codec:
            return
        place = number(media, "chunk", "media.")
        stamp = number(media, "timestamp", "media.")
        if place is None or stamp is None:
            raise MessageError("media.chunk", "no number, or no timestamp", AnomalyKind.MEDIA)
        name = self._roster.name(endpoint, endpoint)
        yield Packet(name, codec, crc32(tag.encode()), int(place), int(stamp), payload)

    def _keep(self, tag: str, endpoint: str, codec: str) -> None:
        if len(self._tags) >= _MOST and tag not in self._tags:
            raise MessageError("start.tag", "too many sources", AnomalyKind.TRACK)
        self._tags[tag] = endpoint, codec


def _endpoint(tag: str) -> str:
    """The endpoint in a tag: the bridge writes `endpoint-ssrc`."""
    head, dash, ssrc = tag.rpartition("-")
    return head if dash and ssrc.isdigit() else tag
