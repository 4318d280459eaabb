"""Genesys AudioHook, protocol version 2: JSON transactions and binary audio on one WebSocket."""

import json
import re
from collections.abc import Iterator
from typing import Any

from monitor.ingest.dialect import (
    AGENT,
    REMOTE,
    Begin,
    Ended,
    Message,
    Paused,
    Reply,
    Resumed,
    TelephonyError,
    Unknown,
    child,
    chunks,
    number,
    rate_of,
    read_object,
    word,
)
from monitor.ingest.g711 import Codec

_CHANNELS = {"external": REMOTE, "internal": AGENT}
_NOBODY = "00000000-0000-0000-0000-000000000000"
"""The conversation of a connection probe: it opens and closes without a call."""
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
        self._position = 0.0
        """Seconds of the stream: what was sent and what the client discarded."""

    def text(self, data: str) -> Iterator[Message]:
        """Read a client message."""
        message = read_object(data)
        if message.get("version") != "2":
            raise TelephonyError("version", "must be 2", TelephonyError.UNSUPPORTED)
        if word(message, "id") != self._session:
            raise TelephonyError("id", "not this session's", TelephonyError.VIOLATION)
        if message.get("seq") != self._heard + 1:
            raise TelephonyError("seq", f"must be {self._heard + 1}", TelephonyError.VIOLATION)
        self._heard += 1
        if (number(message, "serverseq") or 0) > self._sent:
            raise TelephonyError("serverseq", "ahead of the server", TelephonyError.VIOLATION)
        kind, parameters = word(message, "type"), child(message, "parameters")
        if kind == "open":
            yield from self._open(parameters)
            return
        if not self._opened and kind not in ("close", "error"):
            raise TelephonyError("type", f"{kind[:20]!r} before open", TelephonyError.VIOLATION)
        if kind == "ping":
            yield self._reply("pong")
        elif kind == "paused":
            yield Paused()
        elif kind == "resumed":
            yield Resumed()
        elif kind == "discarded":
            self._position += _seconds(parameters, "discarded")
        elif kind == "update":
            yield self._reply("updated")
        elif kind == "close":
            self._closed = True
            yield self._reply("closed")
            yield Ended()
        elif kind != "error":
            yield Unknown(kind)

    def binary(self, data: bytes) -> Iterator[Message]:
        """Read audio of the media that was chosen."""
        if not self._channels:
            raise TelephonyError("message", "audio before open", TelephonyError.VIOLATION)
        at = self._position
        self._position += len(data) / (self._codec.width * len(self._channels) * self._rate)
        yield from chunks(data, self._codec, self._rate, self._channels, at)

    def farewell(self, error: str | None) -> str | None:
        """Ask the client to close."""
        if self._closed:
            return None
        reason = {"reason": "error", "info": error} if error else {"reason": "completed"}
        return self._reply("disconnect", reason).text

    def _open(self, parameters: dict[str, Any]) -> Iterator[Message]:
        if self._opened:
            raise TelephonyError("type", "a second open", TelephonyError.VIOLATION)
        if word(parameters, "organizationId") != self._organization:
            raise TelephonyError(
                "organizationId", "not the one that signed", TelephonyError.VIOLATION
            )
        conversation = word(parameters, "conversationId")
        offers = parameters.get("media")
        if not isinstance(offers, list):
            raise TelephonyError("parameters.media", "missing or not a list")
        self._opened = True
        if conversation == _NOBODY:
            yield self._reply("opened", {"startPaused": False, "media": []})
            return
        chosen = self._choose(offers)
        yield self._reply("opened", {"startPaused": False, "media": [chosen]})
        yield Begin(conversation, self._channels)

    def _choose(self, offers: list[Any]) -> dict[str, Any]:
        """Take the offer with everybody who is to be scored and as few others as can be."""
        best: tuple[int, dict[str, Any]] | None = None
        for offer in offers:
            names = offer.get("channels") if isinstance(offer, dict) else None
            # Only mu-law: nothing says in which byte order AudioHook's L16 comes.
            if not isinstance(names, list) or offer.get("format") != "PCMU":
                continue
            known = [n for n in names if isinstance(n, str) and n in _CHANNELS]
            if not known or len(set(known)) != len(names):
                continue
            carried = {_CHANNELS[n] for n in names}
            cost = len(names) - 10 * len(carried & self._participants)
            if best is None or cost < best[0]:
                best = cost, offer
        if best is None:
            raise TelephonyError(
                "parameters.media", "no PCMU offer", code=TelephonyError.UNSUPPORTED
            )
        chosen = best[1]
        self._rate = rate_of(number(chosen, "rate"), "parameters.media.rate")
        self._channels = tuple(_CHANNELS[name] for name in chosen["channels"])
        return chosen

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


def _seconds(parameters: dict[str, Any], key: str) -> float:
    found = _DURATION.fullmatch(word(parameters, key, "parameters."))
    if found is None:
        raise TelephonyError(f"parameters.{key}", "not a duration such as PT1.5S")
    return float(found[1])
