"""Alerts → signed HTTP POSTs: CloudEvents, signed as the Standard Webhooks specification says.

Receivers verify with that specification's libraries and drop what they know by `webhook-id`.
"""

import asyncio
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

import httpx
from standardwebhooks import Webhook

from monitor.delivery.http import client, failure, posted
from monitor.schema import wire
from monitor.schema.messages import DeliveryError, Message

MOST_REDIRECTS = 3
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the system knows them; raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class WebhookDestination:
    """One receiver."""

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        redirects: Literal["refuse", "public", "any"] = "refuse",
        ca_file: str | None = None,
        resolver: Resolve = resolve,
    ) -> None:
        """`secrets` all sign, the current one first. Raises ValueError for a bad one."""
        self._url = httpx.URL(url)
        try:
            # The library takes an empty secret for a fault of its caller.
            self._signers = [Webhook(s) for s in secrets if s.removeprefix("whsec_")]
        except (ValueError, RuntimeError):
            self._signers = []
        if len(self._signers) != len(secrets) or not secrets:
            raise ValueError("secret: not a signing secret")
        self._redirects = redirects
        self._client = client(ca_file)
        self._resolve = resolver

    async def send(self, message: Message) -> None:
        """POST it; any status but 2xx is a failure."""
        event = wire.cloud_event(message.record, "/deepfake-monitor")
        body = json.dumps(event, separators=(",", ":"), allow_nan=False)
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/cloudevents+json",
            "webhook-id": message.key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(s.sign(message.key, now, body) for s in self._signers),
        }
        named = url = self._url
        extensions: dict[str, str] = {}
        for _ in range(MOST_REDIRECTS + 1):
            response = await posted(self._client, url, body.encode(), headers, extensions)
            if response.is_success:
                return
            target = self._target(named, response)
            if target is None:
                raise failure(response)
            named = target
            url, headers["host"], extensions = await self._permitted(target)
        raise DeliveryError("too many redirects")

    async def run(self) -> None:
        """Nothing is to be done between messages."""

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    def _target(self, base: httpx.URL, response: httpx.Response) -> httpx.URL | None:
        """Where a followable redirect leads: 307 and 308 only, since others turn POST into GET."""
        if self._redirects == "refuse" or response.status_code not in (307, 308):
            return None
        try:
            target = base.join(response.headers.get("location", ""))
        except httpx.InvalidURL as error:
            raise DeliveryError("redirect to no URL") from error
        if self._url.scheme == "https" and target.scheme != "https":
            raise DeliveryError("redirect away from HTTPS")
        if target.scheme not in ("http", "https") or not target.host:
            raise DeliveryError("redirect to another scheme")
        return target

    async def _permitted(self, target: httpx.URL) -> tuple[httpx.URL, str, dict[str, str]]:
        """The URL to use, its Host header and TLS name; raises DeliveryError if it is private.

        The address that was looked at is the one that is used: a second look-up could answer
        differently.
        """
        host, netloc = target.host, target.netloc.decode("ascii").rpartition("@")[2]
        if self._redirects == "any":
            return target, netloc, {}
        port = target.port or (443 if target.scheme == "https" else 80)
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise DeliveryError("redirect to an unknown host") from error
        if not addresses or not all(_public(a) for a in addresses):
            raise DeliveryError("redirect to a private address")
        return target.copy_with(host=addresses[0]), netloc, {"sni_hostname": host}


def _public(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    return ip.is_global and not ip.is_multicast
