"""A real Chromium with a fake camera and microphone, driven over its debugging port."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser as Connection
from playwright.sync_api import ConsoleMessage, Page, Playwright, Request, sync_playwright

from tests.e2e.rig.process import PATIENCE, Process, Started

CHROMIUM = "/usr/bin/chromium"
INSIDE = ("127.0.0.1", "localhost", "10.99.0.1", *(f"10.77.0.{n}" for n in range(1, 255)))
"""Hosts of the test network; a page that asks for anything else is at fault."""

_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic "
    "--no-first-run --no-default-browser-check --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --disable-extensions "
    "--disable-background-timer-throttling --disable-renderer-backgrounding "
    "--disable-backgrounding-occluded-windows --password-store=basic --use-mock-keychain "
    "--force-color-profile=srgb --hide-scrollbars --window-size=1280,900 --remote-debugging-port=0 "
    "--disable-features=Translate,MediaRouter,OptimizationHints,DialMediaRouteProvider "
    "--autoplay-policy=no-user-gesture-required"
)
_MEDIA_FLAGS = (
    "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream "
    "--allow-loopback-in-peer-connection"
)


class Browser(Started):
    """One Chromium with a fresh profile; `with Browser(...) as browser: page = browser.open(url)`.

    microphone and camera are a 48 kHz WAV and an MJPEG file. Both loop, unless once is set, when
    the microphone falls silent at the file's end. The sound starts when a page asks for it.
    Synchronous: not for use inside a running asyncio loop.
    """

    def __init__(
        self,
        folder: Path,
        microphone: Path | None = None,
        camera: Path | None = None,
        once: bool = False,
        flags: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.console_errors: list[str] = []
        self.page_errors: list[str] = []
        self.failed_requests: list[str] = []
        self.outside_requests: list[str] = []
        media: list[str] = []
        if microphone or camera:
            media = _MEDIA_FLAGS.split()
        if microphone:
            suffix = "%noloop" if once else ""
            media.append(f"--use-file-for-fake-audio-capture={microphone.absolute()}{suffix}")
        if camera:
            media.append(f"--use-file-for-fake-video-capture={camera.absolute()}")
        self._profile = Path(tempfile.mkdtemp(prefix="chromium-"))
        command = [CHROMIUM, *_FLAGS.split(), *media, f"--user-data-dir={self._profile}", *flags]
        self.process = Process([*command, "about:blank"], folder / "chromium.log")
        self._playwright: Playwright | None = None
        self._connection: Connection | None = None

    @property
    def errors(self) -> list[str]:
        """All that went wrong in the pages, in words."""
        return [
            *self.page_errors, *self.console_errors, *self.failed_requests, *self.outside_requests
        ]  # fmt: skip

    def start(self) -> Self:
        """Run Chromium and take its debugging port."""
        port_file = self._profile / "DevToolsActivePort"
        try:
            self.process.start()
            self.process.wait_ready(lambda: port_file.exists() and port_file.read_text(), 60)
            port = port_file.read_text().splitlines()[0]
            self._playwright = sync_playwright().start()
            chromium = self._playwright.chromium
            self._connection = chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        except BaseException:
            self.stop()
            raise
        return self

    def open(self, url: str, timeout: float = 30) -> Page:
        """Show the URL on a new page, which is watched for errors.

        The page is Playwright's: fill, click, evaluate, locator, wait_for_function and so on.
        """
        if self._connection is None:
            raise RuntimeError("the browser was not started")
        page = self._connection.contexts[0].new_page()
        page.set_default_timeout(timeout * 1000 * PATIENCE)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.page_errors.append(f"page: {error}"))
        page.on("request", self._on_request)
        page.on("requestfailed", self._on_failed)
        page.goto(url)
        return page

    def screenshot(self, page: Page, name: str) -> Path:
        """A picture of the whole page in the folder."""
        path = self.folder / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    def stop(self) -> None:
        """Close the pages, end Chromium by its id, remove the profile."""
        try:
            if self._connection:
                self._connection.close()
            if self._playwright:
                self._playwright.stop()
        finally:
            self._connection = self._playwright = None
            self.process.stop()
            shutil.rmtree(self._profile, ignore_errors=True)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console_errors.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in INSIDE:
            self.outside_requests.append(f"outside: {request.url}")

    def _on_failed(self, request: Request) -> None:
        self.failed_requests.append(f"failed: {request.method} {request.url} {_why(request)}")


def _why(request: Request) -> str:
    failure: Any = request.failure
    return str(failure or "")
