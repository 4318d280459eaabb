"""WHIP clients that are not browsers: `python -m tests.e2e.rig.publisher URL CALLS`.

aiortc and httpx, which follows 307 as RFC 9725 asks. Writes a line of JSON for each call that has
been answered, sends until it is stopped.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin

import httpx
from aiortc import RTCPeerConnection, RTCSessionDescription

from tests.e2e.rig.process import Process, Started
from tests.flow.webrtc import Speech


async def publish(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """Begin one call; return what became of the request. The connection is kept alive by it."""
    client = RTCPeerConnection()
    client.addTransceiver(Speech(), direction="sendonly")
    await client.setLocalDescription(await client.createOffer())
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {os.environ['TOKEN']}"}
    answer = await http.post(url, content=client.localDescription.sdp, headers=headers)
    if answer.status_code != 201:
        return {"status": answer.status_code, "retry_after": answer.headers.get("retry-after")}
    await client.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    _open.append(client)
    return {
        "status": 201,
        "hops": [hop.status_code for hop in answer.history],
        "session": urljoin(str(answer.url), answer.headers["location"]),
        "call": answer.headers["x-call-id"],
    }


_open: list[RTCPeerConnection] = []


async def main(url: str, calls: int) -> None:
    """Begin the calls one after the other and stay."""
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False, timeout=20) as http:
        for _ in range(calls):
            sys.stdout.write(json.dumps(await publish(http, url)) + "\n")
            sys.stdout.flush()
    await asyncio.Event().wait()


class Publisher(Started):
    """The same as a process of its own."""

    def __init__(self, folder: Path, name: str, url: str, calls: int, token: str) -> None:
        self._calls = calls
        command = [sys.executable, "-m", "tests.e2e.rig.publisher", url, str(calls)]
        self.process = Process(command, folder / f"{name}.log", {"TOKEN": token})

    def start(self) -> Self:
        """Publish; returns when every call has been answered, well or not."""
        self.process.start()
        self.process.wait_ready(lambda: len(self.answers) == self._calls, 60)
        return self

    @property
    def answers(self) -> list[dict[str, Any]]:
        """What became of each call so far."""
        lines = self.process.said().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    @property
    def calls(self) -> list[str]:
        """Ids of those that were taken."""
        return [answer["call"] for answer in self.answers if answer["status"] == 201]

    def stop(self) -> None:
        """Hang up without a word."""
        self.process.kill()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
