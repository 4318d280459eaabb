"""A local HTTP server that keeps what webhooks post to it, and misbehaves when told to."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.e2e.rig.process import Started, wait_until


@dataclass(frozen=True)
class Post:
    """One request as it came in; header names in lower case, the body byte for byte."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float = field(default_factory=time.time)
    monotonic: float = field(default_factory=time.monotonic)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Receiver(Started):
    """Answers POST and PUT with a status, after a delay; other requests get 405.

    Set `status` and `delay` at any time; `plan` holds statuses for the next requests, used up
    first. Status 0 hangs up without an answer.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.status = 204
        self.delay = 0.0
        self.plan: list[int] = []
        self.answer_headers: dict[str, str] = {}
        self._posts: list[Post] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer((host, port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True
        )

    @property
    def posts(self) -> list[Post]:
        """Everything that came so far, in order of arrival, answered well or not."""
        with self._lock:
            return list(self._posts)

    def url(self, path: str = "/hook") -> str:
        """Where to post."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}{path}"

    def wait(self, count: int = 1, timeout: float = 10) -> list[Post]:
        """The posts, once there are at least `count`; raises TimeoutError."""
        wait_until(lambda: len(self.posts) >= count, timeout, f"post {count}", every=0.02)
        return self.posts

    def clear(self) -> None:
        """Forget what came."""
        with self._lock:
            self._posts.clear()

    def start(self) -> Self:
        """Answer requests in a thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Free the port."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _keep(self, post: Post) -> int:
        with self._lock:
            self._posts.append(post)
            return self.plan.pop(0) if self.plan else self.status

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:
                    # The sender died in the middle: that is no request.
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver._keep(Post(self.command, self.path, headers, body))
                receiver._closing.wait(receiver.delay)
                if status == 0 or receiver._closing.is_set():
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in receiver.answer_headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST

            def do_GET(self) -> None:
                self.send_response(405)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler
