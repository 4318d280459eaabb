"""Genesys AudioHook, protocol version 2: JSON transactions and binary audio on one WebSocket."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from monitor.ingest.codecs.g711 import Codec
from monitor.ingest.connection.anomaly import Anomaly, AnomalyKind
from monitor.ingest.telephony.dialect import (
    AGENT,
    REMOTE,
    Begin,
    Chunk,
    Ended,
    Message,
    MessageError,
    Paused,
    Reply,
    Resumed,
    TelephonyError,
    number,
    rate_of,
    read_object,
    tolerant,
    word,
)
from monitor.ingest.telephony.interleave import Interleave

_CHANNELS = {"external": REMOTE, "internal": AGENT}
_NOBODY = "00000000-0000-0000-0000-000000000000"
"""The conversation of a connection probe: it opens and closes without a call."""
_FORMATS = {"PCMU": Codec.MULAW, "L16": Codec.L16}
_SILENT = frozenset({"dtmf", "playback_started", "playback_completed"})
"""Messages without meaning for monitoring."""
_DURATION = re.compile(r"PT(\d{1,9}(?:\.\d{1,9})?)S")


class AudioHookParser:
    """The server's side of one session."""

    def __init__(self, organization: str, session: str, participants: frozenset[str]) -> None:
        """`organization` and `session` come from the request's signed headers."""
        self._organization = organization
        self._session = session
        self._participants = participants
        self._heard = 0
        self._sent = 0
        self._opened = False
        self._closed = False
        self._codec = Codec.MULAW
        self._rate = 8_000
        self._channels: tuple[str, ...] = ()
        self._sound: Interleave | None = None
        self._discarded = 0.0
        """Seconds that the client discarded before the audio to come."""

    def opening(self) -> Iterator[Message]:
        """Say nothing: `open` tells."""
        return iter(())

    def text(self, data: str) -> Iterator[Message]:
        """Read a client message."""
        if data.strip():
            yield from tolerant(self._message(data))

    def _message(self, data: str) -> Iterator[Message]:
        message = read_object(data)
        kind = word(message, "type")
        yield from self._envelope(message, kind)
        parameters = message.get("parameters")
        if not isinstance(parameters, dict):
            yield Anomaly(AnomalyKind.MESSAGE, "parameters", "missing or not an object")
            parameters = {}
        if kind == "open" and not self._opened:
            yield from self._open(parameters)
        elif kind == "open":
            yield Anomaly(AnomalyKind.ORDER, "type", "a second open")
        elif kind == "ping":
            yield self._reply("pong")
        elif kind == "paused":
            yield Paused()
        elif kind == "resumed":
            yield Resumed()
        elif kind == "discarded":
            self._discarded += _seconds(parameters, "discarded")
        elif kind == "update":
            yield self._reply("updated")
        elif kind == "close":
            self._closed = True
            yield self._reply("closed")
            yield Ended()
        elif kind == "error":
            yield Anomaly(AnomalyKind.EVENT, "type", "the client reports an error")
        elif kind not in _SILENT:
            yield Anomaly(AnomalyKind.EVENT, "type", kind[:40] or "none")

    def _envelope(self, message: dict[str, Any], kind: str) -> Iterator[Message]:
        """Take in what numbers a message; only another protocol makes a session impossible."""
        if message.get("version") != "2":
            if kind == "open":
                raise TelephonyError("version", "must be 2")
            yield Anomaly(AnomalyKind.MESSAGE, "version", "not 2")
        if message.get("id") != self._session:
            yield Anomaly(AnomalyKind.MESSAGE, "id", "not this session's")
        given = message.get("seq")
        if given != self._heard + 1:
            yield Anomaly(AnomalyKind.ORDER, "seq", f"is not {self._heard + 1}")
        self._heard += 1
        if isinstance(given, int) and 0 < given < 2**53:
            self._heard = int(given)
        answered = message.get("serverseq", 0)
        if not isinstance(answered, int) or answered > self._sent:
            yield Anomaly(AnomalyKind.ORDER, "serverseq", "ahead of the server, or no number")

    def binary(self, data: bytes) -> Iterator[Message]:
        """Read audio of the media that was chosen."""
        if self._sound is None:
            yield Anomaly(AnomalyKind.EARLY, "media", "audio that no media was chosen for")
            return
        lost = dict.fromkeys(self._channels, self._discarded)
        self._discarded = 0.0
        for found in self._sound.read(data, None):
            if isinstance(found, Chunk):
                found = replace(found, lost=lost.pop(found.participant, 0.0))
            yield found

    def farewell(self, error: str | None) -> str | None:
        """Ask the client to close."""
        if self._closed:
            return None
        reason = {"reason": "error", "info": error} if error else {"reason": "completed"}
        return self._reply("disconnect", reason).text

    def _open(self, parameters: dict[str, Any]) -> Iterator[Message]:
        if word(parameters, "organizationId") != self._organization:
            raise TelephonyError(
                "organizationId", "not the one that signed", TelephonyError.VIOLATION
            )
        conversation = word(parameters, "conversationId")
        if conversation == _NOBODY:
            self._opened = True
            yield self._reply("opened", {"startPaused": False, "media": []})
            return
        offers = parameters.get("media")
        chosen = self._choose(offers if isinstance(offers, list) else [])
        try:
            self._rate = rate_of(number(chosen, "rate"), "parameters.media.rate")
        except MessageError as error:
            yield error.anomaly
        self._opened = True
        self._codec = _FORMATS[chosen["format"]]
        self._channels = tuple(_CHANNELS[name] for name in chosen["channels"])
        self._sound = Interleave(self._codec, self._rate, self._channels)
        yield self._reply("opened", {"startPaused": False, "media": [chosen]})
        yield Begin(conversation, self._channels)

    def _choose(self, offers: list[Any]) -> dict[str, Any]:
        """Take the offer with everybody who is to be scored and as few others as can be."""
        usable = [offer for offer in offers if _usable(offer)]
        if not usable:
            raise TelephonyError("parameters.media", "no offer of PCMU or L16")

        def cost(offer: dict[str, Any]) -> int:
            names: list[str] = offer["channels"]
            carried = {_CHANNELS[n] for n in names} & self._participants
            # Nothing says in which byte order L16 comes, so mu-law if there is any.
            return 4 * int(offer["format"] != "PCMU") + len(names) - 10 * len(carried)

        return min(usable, key=cost)

    def _reply(self, kind: str, parameters: dict[str, Any] | None = None) -> Reply:
        self._sent += 1
        message = {
            "version": "2",
            "type": kind,
            "seq": self._sent,
            "clientseq": self._heard,
            "id": self._session,
            "parameters": parameters or {},
        }
        return Reply(json.dumps(message))


def _usable(offer: object) -> bool:
    """Whether an offer of media can be read, and names each channel once."""
    if not isinstance(offer, dict):
        return False
    names, name = offer.get("channels"), offer.get("format")
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        return False
    known = isinstance(name, str) and name in _FORMATS and set(names) <= _CHANNELS.keys()
    return known and 0 < len(set(names)) == len(names)


def _seconds(parameters: dict[str, Any], key: str) -> float:
    found = _DURATION.fullmatch(word(parameters, key, "parameters."))
    if found is None:
        raise MessageError(f"parameters.{key}", "not a duration such as PT1.5S")
    return float(found[1])
