"""Whether a recording client is still there: it acknowledges, refreshes, and answers when asked."""

import asyncio
from collections.abc import Callable

from aiosipua import SipRequest

from monitor.runtime import log
from monitor.sip.recording import Recording
from monitor.sip.transaction import LIFETIME, Transaction, Transactions, repeat

_log = log.get(__name__)

ASK_AFTER = 30.0
"""Seconds without media after which a client is asked whether it is there, again and again."""


class Presence:
    """Ends sessions whose client has gone."""

    def __init__(
        self, transactions: Transactions, request: Callable[[Recording, str], SipRequest]
    ) -> None:
        """`request(recording, method)` writes a request within a session."""
        self._transactions = transactions
        self._request = request

    async def insist(self, transaction: Transaction, recording: Recording) -> None:
        """Repeat an acceptance until it is acknowledged, or the client is given up."""
        if transaction.peer.reliable:
            await asyncio.sleep(LIFETIME)
        else:
            await repeat(transaction.again)
        _log.warning("siprec session not acknowledged", call=recording.name)
        if recording.source.quiet >= ASK_AFTER:
            recording.source.hang_up("disconnected")

    async def _refresh(self, recording: Recording) -> None:
        """Refresh the session as its timer says, or end it when the client does not.

        Who sends media is there, whatever its timer does.
        """
        loop = asyncio.get_running_loop()
        while True:
            timer = recording.timer
            if timer is None:
                await asyncio.sleep(LIFETIME)
            elif timer.ours:
                await asyncio.sleep(timer.seconds / 2)
                request = self._request(recording, "UPDATE")
                expires = f"{timer.seconds};refresher=uas"
                request.headers.set_single("Session-Expires", expires)
                request.headers.set_single("Supported", "timer")
                answer = await self._transactions.ask(request, recording.peer)
                if answer == 481 or (answer in (None, 408) and _quiet(recording, timer.seconds)):
                    break
            elif (left := recording.refreshed + timer.seconds - loop.time()) > 0:
                await asyncio.sleep(left)
            elif _quiet(recording, timer.seconds):
                break
            else:
                await asyncio.sleep(timer.seconds / 2)
        _log.warning("siprec session expired", call=recording.name)
        recording.source.hang_up("disconnected")

    async def _ask(self, recording: Recording) -> None:
        """End the session once its client is gone: who is silent may be on hold."""
        while True:
            await asyncio.sleep(max(1.0, ASK_AFTER - recording.source.quiet))
            if recording.source.quiet < ASK_AFTER or not recording.peer.reachable:
                continue
            answer = await self._transactions.ask(
                self._request(recording, "OPTIONS"), recording.peer
            )
            if answer in (None, 408, 481) and recording.source.quiet >= ASK_AFTER:
                break
            await asyncio.sleep(ASK_AFTER)
        _log.warning("siprec client gone", call=recording.name)
        recording.source.hang_up("disconnected")

    async def keep(self, recording: Recording) -> None:
        """Look after a session until it is over."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._refresh(recording))
            group.create_task(self._ask(recording))


def _quiet(recording: Recording, seconds: float) -> bool:
    """Whether no media came for so long, or for as long as it takes to be asked about."""
    return recording.source.quiet >= min(ASK_AFTER, seconds)
