"""Tickets: what a redirect to another machine carries in place of the Authorization header.

Clients drop that header when a redirect leads to another origin (Fetch, section 4.4). A ticket
stands in the URL for it: encrypted and authenticated (Fernet), for one node, for seconds, once.
"""

import json
import secrets
import time
from collections.abc import Callable

from cryptography.fernet import Fernet, InvalidToken

from monitor.web.problems import Problem

QUERY = "ticket"
"""The query parameter."""


class Tickets:
    """Makes them, and takes each of them once."""

    def __init__(self, key: bytes, seconds: float, wall: Callable[[], float] = time.time) -> None:
        """`key` is a Fernet key; `seconds` is for how long a ticket holds."""
        self._fernet = Fernet(key)
        self._seconds = seconds
        self._wall = wall
        self._used: dict[str, float] = {}

    def issue(self, node: str, by: str) -> str:
        """A ticket to one node for whoever was let in as `by`."""
        content = json.dumps({"node": node, "by": by, "id": secrets.token_urlsafe(9)})
        return self._fernet.encrypt_at_time(content.encode(), round(self._wall())).decode()

    def redeem(self, ticket: str, node: str) -> str:
        """Take a ticket and return whose it is.

        Raises Problem if it is forged, too old, used, or not for this node.
        """
        now = self._wall()
        try:
            # Whole seconds are what Fernet counts in.
            text = self._fernet.decrypt_at_time(ticket, max(1, round(self._seconds)), round(now))
        except (InvalidToken, ValueError) as error:
            raise _refused("not a ticket of this cluster, or too old") from error
        content = json.loads(text)
        if content["node"] != node:
            raise _refused("a ticket to another node, or to one that has been started anew")
        # One that is forgotten here is too old to be taken.
        self._used = {i: until for i, until in self._used.items() if until > now}
        if content["id"] in self._used:
            raise _refused("it has been used")
        self._used[content["id"]] = now + 2 * self._seconds + 120.0
        return str(content["by"])


def _refused(detail: str) -> Problem:
    return Problem(401, "Unauthorized", f"{QUERY}: {detail}", field=QUERY)
