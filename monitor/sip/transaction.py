"""SIP transactions (RFC 3261, section 17): what is sent twice is handled once.

    request ──► Transactions ──new──► handler ──► Transaction.respond
                    │ again: the same response again
                    └ ACK of a refusal: it is repeated no more

Acceptances of INVITE are repeated by whoever accepts: their ACK belongs to the call (13.3.1.4).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from aiosipua import SipRequest, SipResponse

from monitor.runtime import failures, log
from monitor.runtime.refusals import refused
from monitor.runtime.tasks import begin
from monitor.sip.message import SipError, reply, tag, top
from monitor.sip.transport import Peer

_log = log.get(__name__)

T1, T2 = 0.5, 4.0
"""Seconds: round trip that is taken for granted, and the longest pause between repetitions."""
LIFETIME = 64 * T1
"""Seconds for which an answer is repeated or a repeated question is recognised."""
MOST = 5000
"""Transactions at once; further requests are dropped, and come again."""
MOST_OF_ONE = 1000
"""Of them, of one address."""


class Transaction:
    """One request and what is answered to it."""

    def __init__(self, request: SipRequest, peer: Peer) -> None:
        self.request = request
        self.peer = peer
        self.response: bytes | None = None
        """The latest that was sent."""
        self.final = False
        self.cancelled = False
        """Whether the client no longer wants an answer to its INVITE."""
        self.refused: asyncio.Task[None] | None = None
        """Repeats a refusal of INVITE until it is acknowledged."""

    def respond(self, response: SipResponse) -> None:
        """Send a response; after a final one nothing more is sent."""
        if self.final:
            return
        self.final = response.status_code >= 200
        self.response = bytes(response)
        self.again()
        if self.request.method == "INVITE" and response.status_code >= 300:
            if not self.peer.reliable:
                self.refused = begin("sip_repeat", repeat(self.again))

    def again(self) -> None:
        """Send the latest response once more."""
        if self.response is not None:
            self.peer.send(self.response, self.request)

    def acknowledged(self) -> None:
        """The client has the refusal."""
        if self.refused is not None:
            self.refused.cancel()


async def repeat(send: Callable[[], None]) -> None:
    """Send again and again, less and less often, until cancelled or nobody can be there."""
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + LIFETIME, T1
    while loop.time() + pause < end:
        await asyncio.sleep(pause)
        send()
        pause = min(2 * pause, T2)


class Transactions:
    """All of one server."""

    def __init__(self, handle: Callable[[Transaction], Awaitable[None]]) -> None:
        """`handle` answers a new request, ACK included; what it raises as SipError is answered."""
        self._handle = handle
        self._servers: dict[tuple[str, str, int | None, str], Transaction] = {}
        self._held: Counter[str] = Counter()
        """How many, by address."""
        self._clients: dict[str, asyncio.Future[int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def received(self, message: SipRequest | SipResponse, peer: Peer) -> None:
        """Take a message in."""
        if isinstance(message, SipResponse):
            waiting = self._clients.get(top(message).branch or "")
            if waiting is not None and message.status_code >= 200 and not waiting.done():
                waiting.set_result(message.status_code)
            return
        method = message.method
        key = self._key(message, "INVITE" if method == "ACK" else method)
        known = self._servers.get(key)
        if method == "ACK":
            if known is not None and known.refused is not None:
                known.acknowledged()
            else:
                self._spawn(Transaction(message, peer))
        elif known is not None:
            known.again()
        elif len(self._servers) >= MOST or self._held[peer.address] >= MOST_OF_ONE:
            refused("sip_transactions", peer=peer.address)
        else:
            transaction = Transaction(message, peer)
            # Out of a session nothing depends on how often this is answered.
            if method != "OPTIONS" or tag(message, "to"):
                self._hold(key, transaction)
            if method == "CANCEL":
                self._cancel(transaction)
            else:
                self._spawn(transaction)

    def _hold(self, key: tuple[str, str, int | None, str], transaction: Transaction) -> None:
        """Know a request for as long as it may come again."""
        address = transaction.peer.address
        self._servers[key] = transaction
        self._held[address] += 1

        def forget() -> None:
            self._servers.pop(key, None)
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]

        asyncio.get_running_loop().call_later(LIFETIME, forget)

    async def ask(self, request: SipRequest, peer: Peer) -> int | None:
        """Send a request; return the status of the final response, None if there is none."""
        branch = top(request).branch or ""
        waiting = self._clients[branch] = asyncio.get_running_loop().create_future()
        data = bytes(request)
        peer.send(data)
        repeating = None
        if not peer.reliable:
            repeating = begin("sip_repeat", repeat(lambda: peer.send(data)))
        try:
            return await asyncio.wait_for(waiting, LIFETIME)
        except TimeoutError:
            return None
        finally:
            del self._clients[branch]
            if repeating is not None:
                repeating.cancel()

    def close(self) -> None:
        """Answer nothing any more."""
        for task in (*self._tasks, *(t.refused for t in self._servers.values() if t.refused)):
            task.cancel()
        self._servers.clear()

    @staticmethod
    def _key(message: SipRequest, method: str) -> tuple[str, str, int | None, str]:
        via = top(message)
        return via.branch or "", via.host, via.port, method

    def _cancel(self, transaction: Transaction) -> None:
        """Take back an INVITE that is not answered yet (section 9.2)."""
        invite = self._servers.get(self._key(transaction.request, "INVITE"))
        if invite is None:
            transaction.respond(reply(transaction.request, 481))
            return
        transaction.respond(reply(transaction.request, 200))
        if not invite.final:
            invite.cancelled = True

    def _spawn(self, transaction: Transaction) -> None:
        task = begin("sip_request", self._answer(transaction))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, transaction: Transaction) -> None:
        request = transaction.request
        try:
            await self._handle(transaction)
        except SipError as error:
            words = (("Warning", f'399 deepfake-monitor "{_quoted(error.detail)}"'),)
            if error.status != 401:
                _log.warning(
                    "sip refused", method=request.method[:20], status=error.status,
                    detail=error.detail,
                )  # fmt: skip
            if request.method != "ACK":
                headers = (*error.headers, *words)
                response = reply(request, error.status, headers=headers, reason=error.reason)
                transaction.respond(response)
        except Exception as error:  # noqa: BLE001
            # The client is told, and other sessions go on.
            failures.heard("sip_request", error, method=request.method[:20])
            if request.method != "ACK":
                transaction.respond(reply(request, 500))


def _quoted(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and c not in '"\\')[:200]
