"""A participant pulled from a media server by WHEP, and pulled again when it goes away.

        offer, recvonly ─ POST ─► server          Retry ─ each connection: a Receiver of its own
call ◄─ Bridge ◄─ Receiver ◄──── its media
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from aiortc import RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.sdp import SessionDescription

from monitor.ingest.connection.bridge import Bridge
from monitor.ingest.connection.location import WHEP, located
from monitor.ingest.connection.retry import Retry, RetryOptions
from monitor.ingest.connection.trust import Trust
from monitor.ingest.rtp.aiortc_adapter import accept_more_senders, receivable_video
from monitor.ingest.webrtc.peer_connection import Receiver, WebRtcOptions
from monitor.ingest.webrtc.sections import fitted
from monitor.ingest.webrtc.whep_session import WhepClient
from monitor.ingest.webrtc.whip_offer import UNREADABLE, bundles
from monitor.runtime import log
from monitor.runtime.log import redact
from monitor.types.protocols import Intake, SourceError
from monitor.types.sampling import Sampling

_log = log.get(__name__)

PULL_AGAIN = 30.0
"""Seconds without media after which a session is opened anew that is still there: some servers
keep one and send nothing through it once the publisher has come back."""
KINDS = ("audio", "video")


@dataclass(frozen=True, slots=True)
class WhepOptions:
    """Deadlines in seconds."""

    request_timeout: float = 5.0
    """For each step of an HTTP request."""
    trust: Trust = Trust(setting="whep")
    retry: RetryOptions = RetryOptions()
    webrtc: WebRtcOptions = WebRtcOptions()


class WhepSource:
    """One WHEP endpoint as one participant."""

    ingest = "whep"
    live = True

    def __init__(
        self,
        url: str,
        token: str,
        participant: str,
        sampling: Sampling,
        video_width: int,
        options: WhepOptions,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`token` is sent as a bearer; "" sends none. Raises ValueError for a wrong URL."""
        parts = located(url)
        if parts.scheme not in WHEP:
            raise ValueError("uri: a WHEP source needs a whep+http:// or whep+https:// URL")
        self._url = parts._replace(scheme=WHEP[parts.scheme]).geturl()
        self._token = token
        self._participant = participant
        self._sampling = sampling
        self._video_width = video_width
        self._options = options
        self._bridge = Bridge()
        self._alive = 0.0
        """Call seconds at which the server was last seen to hold a session, if silent."""
        self._retry = Retry(self._url, options.retry, jitter)

    async def run(self, intake: Intake) -> str:
        """Pull until cancelled or given up; raises SourceError if it never could."""
        accept_more_senders()
        options = self._options
        try:
            client = WhepClient(self._url, self._token, options.trust, options.request_timeout)
        except ValueError as error:
            raise SourceError("untrusted", str(error)) from error
        try:
            connect = partial(self._connect, client, intake)
            return await self._retry.run(intake, connect, self._reached)
        finally:
            await client.close()

    def _reached(self) -> float | None:
        """Call seconds up to which the source was there: it sent, or it is on hold."""
        until = self._bridge.until
        if until is None or self._alive - until > self._options.webrtc.idle_timeout:
            return until
        return max(until, self._alive)

    async def _connect(self, client: WhepClient, intake: Intake) -> None:
        """Receive all that is sent of sound and picture until it ends."""
        wanted = set(KINDS)
        while (sent := await self._receive(client, intake, wanted)) != wanted:
            # aiortc cannot be answered with a rejected section: ask for the rest alone.
            if not sent:
                raise SourceError("no_media", f"{redact(self._url)}: no audio and no video")
            wanted = sent

    async def _receive(self, client: WhepClient, intake: Intake, kinds: set[str]) -> set[str]:
        """Return what the server would send of these kinds, having received it if that is all."""
        shown = redact(self._url)
        webrtc = self._options.webrtc
        webrtc = replace(webrtc, idle_timeout=min(PULL_AGAIN, webrtc.idle_timeout))
        receiver = Receiver(self._participant, self._sampling, self._video_width, webrtc)
        connection = receiver.connection
        try:
            for kind in sorted(kinds):
                connection.addTransceiver(kind, direction="recvonly")
            await connection.setLocalDescription(await connection.createOffer())
            session = await client.offer(connection.localDescription.sdp)
            try:
                text = readable(session.answer)
                sent = accepted(text) & kinds
                if sent != kinds:
                    return sent
                try:
                    answer = RTCSessionDescription(text, "answer")
                    await connection.setRemoteDescription(answer)
                except _UNFIT as error:
                    raise SourceError("unreadable", f"{shown}: answer: {error}") from error
                receiver.take()
                _log.info("whep connected", uri=self._url)
                reason = await receiver.run(self._bridge.over(intake))
                if reason in ("idle", "no_media") and receiver.connected:
                    self._alive = intake.now()
                if reason == "no_media":
                    raise SourceError("no_media", f"{shown}: no media in time")
                return sent
            finally:
                await client.end(session)
        except AnswerError as error:
            raise SourceError("unreadable", f"{shown}: {error}") from error
        finally:
            await receiver.close()


class AnswerError(Exception):
    """An answer that is no SDP."""


_UNFIT = (OperationError, InvalidStateError, *UNREADABLE)


def readable(answer: str) -> str:
    """Return an answer as aiortc can read it, its H.264 under a profile that is known to it.

    Raises AnswerError for what is no SDP.
    """
    try:
        return fitted(answer, lambda _: True, receivable_video).sdp
    except _UNFIT as error:
        raise AnswerError(f"the answer cannot be parsed ({error})") from error


def accepted(answer: str) -> set[str]:
    """Return the kinds of media that an SDP answer agrees to send; raises AnswerError."""
    try:
        description = SessionDescription.parse(answer)
    except _UNFIT as error:
        raise AnswerError(f"the answer cannot be parsed ({error})") from error
    if not bundles(description):
        raise AnswerError("the answer bundles a mid that is not there")
    return {
        m.kind
        for m in description.media
        if m.kind in KINDS and m.port and m.direction in (None, "sendonly", "sendrecv")
    }
