"""A session recording server (RFC 7866): recording clients call it, and send both parties' voices.

client ── INVITE: SDP, metadata ──► Recorder ── SiprecSource ──► a call
       ◄── 200: SDP ──
       ══ RTP of each party ══════════════════════►
       ── re-INVITE, UPDATE: hold, streams, who speaks ──►
       ── BYE ──►      or ◄── BYE ── when monitoring ends here
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from aiosipua import SipRequest, create_dialog_from_request
from aiosipua.dialog import remote_cseq_valid
from aiosipua.utils import format_addr

from monitor.calls.admission import CapacityError
from monitor.calls.registry import Registry
from monitor.ingest.connection.anomaly import Anomalies
from monitor.ingest.siprec.recording_metadata import Metadata
from monitor.ingest.siprec.siprec_source import TOO_MANY, SiprecOptions, SiprecSource
from monitor.runtime import log
from monitor.runtime.refusals import refused
from monitor.runtime.tasks import begin
from monitor.sip.digest import Digest
from monitor.sip.extensions import check_extensions, wants_recording
from monitor.sip.message import SipError, reply, tag
from monitor.sip.presence import Presence
from monitor.sip.recording import (
    METADATA,
    SDP,
    Content,
    Recording,
    noted,
    read_content,
    read_timer,
)
from monitor.sip.transaction import Transaction, Transactions
from monitor.sip.transport import Peer
from monitor.types.protocols import SourceError

_log = log.get(__name__)

_FAREWELL = 2.0
"""Seconds that goodbyes may take when the service stops."""
_LONGEST_LABEL = 80


class Recorder:
    """Answers recording clients; each session is a call."""

    def __init__(
        self,
        registry: Registry,
        options: SiprecOptions,
        address: str,
        digest: Digest | None = None,
    ) -> None:
        """`address`: how clients reach this machine; `digest`: the account they must have."""
        self.ports: dict[str, int] = {}
        """Where it listens, by UDP, TCP and TLS."""
        self.transactions = Transactions(self._handle)
        self._presence = Presence(self.transactions, self._request)
        self._registry = registry
        self._options = options
        self._address = address
        self._digest = digest
        self._recordings: dict[tuple[str, str, str], Recording] = {}
        self._goodbyes: set[asyncio.Task[int | None]] = set()
        self._methods: dict[str, Callable[[Transaction, Recording], Awaitable[None]]] = {
            "INVITE": self._change,
            "UPDATE": self._change,
            "BYE": self._bye,
        }

    async def close(self) -> None:
        """End all sessions, and say so."""
        for recording in list(self._recordings.values()):
            recording.source.hang_up("stopped")
            self._farewell(recording)
        if self._goodbyes:
            await asyncio.wait(self._goodbyes, timeout=_FAREWELL)
        for task in list(self._goodbyes):
            task.cancel()
        self.transactions.close()

    async def _handle(self, transaction: Transaction) -> None:
        request = transaction.request
        if not tag(request, "to"):
            await self._outside(transaction)
            return
        recording = self._recordings.get(
            (request.call_id or "", tag(request, "from"), tag(request, "to"))
        )
        if request.method == "ACK":
            if recording is not None:
                recording.acknowledged()
            return
        if request.method == "OPTIONS":
            self._capabilities(transaction)
            return
        if recording is None:
            raise SipError(481, f"{request.method} of a session that is not there")
        if transaction.peer.address != recording.peer.address:
            # Tags travel in the clear: whoever read them is not the client.
            if self._digest is None:
                refused("sip_dialog", peer=transaction.peer.address)
                raise SipError(403, "the session is another host's")
            self._digest.check(request, transaction.peer.address)
        if not remote_cseq_valid(recording.dialog, request):
            raise SipError(500, "CSeq: is not higher than the one before")
        method = self._methods.get(request.method)
        if method is None:
            raise self._unknown_method()
        recording.peer = transaction.peer
        recording.refreshed = asyncio.get_running_loop().time()
        await method(transaction, recording)

    async def _outside(self, transaction: Transaction) -> None:
        """Answer a request that belongs to no session."""
        method = transaction.request.method
        if method == "INVITE":
            try:
                await self._begin(transaction)
            except CapacityError as error:
                retry = [("Retry-After", str(error.retry_after))]
                raise SipError(503, str(error), retry) from error
            except SourceError as error:
                raise _refusal(error) from error
        elif method == "OPTIONS":
            self._capabilities(transaction)
        elif method in self._methods:
            raise SipError(481, f"{method} of a session that is not there")
        elif method != "ACK":
            raise self._unknown_method()

    async def _begin(self, transaction: Transaction) -> None:
        request = transaction.request
        check_extensions(request)
        if self._digest is not None:
            self._digest.check(request, transaction.peer.address)
        timer = read_timer(request)
        content = read_content(request)
        if not content.records and not wants_recording(request):
            needs = "Require: must name siprec, this server only records"
            raise SipError(421, needs, [("Require", "siprec")], "Extension Required")
        if content.lines is None:
            raise SipError(488, "sdp: an INVITE must bring an offer")
        owner = f"peer {transaction.peer.address}"
        place = self._registry.keep_place("siprec", owner)
        dialog = create_dialog_from_request(request, local_tag=secrets.token_hex(8))
        source = SiprecSource(self._options)
        recording = Recording(
            dialog,
            transaction.peer,
            source,
            content.lines,
            Metadata(),
            self._address,
            timer,
            Anomalies("siprec", self._registry.anomaly),
        )
        try:
            await recording.change(content)
            if transaction.cancelled:
                raise SipError(487, "cancelled by the client")
            label = recording.metadata.session or request.call_id or ""
            label = "".join(c for c in label if c.isprintable())[:_LONGEST_LABEL]
            place.release()
            call = self._registry.start(
                source, source.participant, label, lambda _: self._ended(recording), owner=owner
            )
        except BaseException:
            source.close()
            raise
        finally:
            place.release()
        recording.call = call
        self._recordings[self._key(recording)] = recording
        dialog.confirm()
        _log.info("siprec session", call=call.id, transport=transaction.peer.kind)
        self._note(recording, content)
        self._accept(transaction, recording)
        recording.refreshed = asyncio.get_running_loop().time()
        keeping = self._presence.keep(recording)
        recording.keeping = begin("sip_session", keeping, recording.fail)

    async def _change(self, transaction: Transaction, recording: Recording) -> None:
        """Answer a re-INVITE or UPDATE."""
        request = transaction.request
        check_extensions(request)
        timer = read_timer(request)
        content = read_content(request)
        async with recording.changing:
            try:
                await recording.change(content)
            except SourceError as error:
                raise _refusal(error) from error
            self._note(recording, content)
            recording.timer = timer or recording.timer
            self._accept(transaction, recording, content.lines is not None)

    async def _bye(self, transaction: Transaction, recording: Recording) -> None:
        recording.over = True
        recording.source.hang_up("ended")
        transaction.respond(reply(transaction.request, 200))

    def _capabilities(self, transaction: Transaction) -> None:
        accept = [("Accept", f"{SDP}, {METADATA[0]}, multipart/mixed")]
        headers = [*self._about(transaction.peer), *accept]
        transaction.respond(reply(transaction.request, 200, headers=headers))

    def _accept(
        self, transaction: Transaction, recording: Recording, described: bool = True
    ) -> None:
        """Say yes, with SDP; for INVITE until the client has heard it."""
        request, invited = transaction.request, transaction.request.method == "INVITE"
        headers = self._about(transaction.peer)
        if recording.timer is not None:
            headers += recording.timer.headers
        # An INVITE without an offer is answered with one, of what there is.
        body = recording.description() if described or invited else ""
        transaction.respond(reply(request, 200, recording.dialog.local_tag, headers, body))
        if invited:
            recording.acknowledged()
            insisting = self._presence.insist(transaction, recording)
            recording.unacknowledged = begin("sip_session", insisting, recording.fail)

    def _note(self, recording: Recording, content: Content) -> None:
        """Say and count what could not be used."""
        for anomaly in dict.fromkeys((*content.odd, *noted(recording.metadata))):
            recording.anomalies.note(anomaly, recording.name)

    def _ended(self, recording: Recording) -> None:
        """The call is over, whoever ended it."""
        self._recordings.pop(self._key(recording), None)
        recording.acknowledged()
        if recording.keeping is not None:
            recording.keeping.cancel()
        self._farewell(recording)

    def _farewell(self, recording: Recording) -> None:
        """Tell the client that the session has ended, unless it knows."""
        if recording.over:
            return
        recording.over = True
        bye = self._request(recording, "BYE")
        task = begin("sip_goodbye", self.transactions.ask(bye, recording.peer))
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    def _request(self, recording: Recording, method: str) -> SipRequest:
        peer = recording.peer
        request = recording.dialog.create_request(
            method, via_host=self._address, via_port=self.ports[peer.kind], via_transport=peer.kind
        )
        request.headers.set_single("Contact", self._contact(peer))
        return request

    def _contact(self, peer: Peer) -> str:
        where = format_addr(self._address, self.ports[peer.kind])
        return f"<sip:{where};transport={peer.kind.lower()}>;+sip.srs"

    def _about(self, peer: Peer) -> list[tuple[str, str]]:
        allowed = ", ".join(["ACK", "CANCEL", "OPTIONS", *self._methods])
        return [
            ("Contact", self._contact(peer)),
            ("Allow", allowed),
            ("Supported", "siprec, timer"),
            ("Server", "deepfake-monitor"),
        ]

    def _unknown_method(self) -> SipError:
        allowed = ", ".join(["ACK", "CANCEL", "OPTIONS", *self._methods])
        return SipError(405, "a method that recording needs not", [("Allow", allowed)])

    @staticmethod
    def _key(recording: Recording) -> tuple[str, str, str]:
        dialog = recording.dialog
        return dialog.call_id, dialog.remote_tag, dialog.local_tag


def _refusal(error: SourceError) -> SipError:
    """What is answered when streams cannot be received."""
    if error.reason == TOO_MANY:
        return SipError(488, f"metadata: {error.detail}")
    return SipError(503, f"telephony.siprec.rtp_ports: {error.detail}")
