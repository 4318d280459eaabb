"""One shift at the console: a fake voice comes, is seen, reviewed and proven; a file is replayed.

One browser and one long story: starting either costs more than any of its steps.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.e2e.conftest import HUMAN, SYNTHETIC
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.publisher import Publisher
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import TOKEN, Service

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
SETTINGS = '[evidence]\nrecord = [{ ingest = "whip" }]\n'
PICTURES = Path("build/console")
PAINTED = """selector => {
    const canvas = document.querySelector(selector);
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 3).join());
    return seen.size;
}"""
"""How many colours a canvas shows."""
WIDER = """() => [...document.querySelectorAll("body *")]
    .filter(e => !e.closest(".scroll, .skip, .unseen"))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.tagName + "." + e.className)"""
"""What reaches beyond the right edge."""
CONTROLS = """() => {
    const known = "a[href], button:enabled, input:enabled, select:enabled, summary";
    window.controls = [...document.querySelectorAll(known)].filter(e => e.checkVisibility());
    window.reached = new Set();
    document.addEventListener("focusin", ({ target }) => {
        if (getComputedStyle(target).outlineStyle !== "none") window.reached.add(target);
    });
    return window.controls.length;
}"""
"""Notes everything that can be operated, and from now on what the keyboard visibly reaches."""
UNREACHED = """() => window.controls
    .filter(e => e.isConnected && e.checkVisibility() && !window.reached.has(e))
    .map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("console"), SETTINGS) as running:
        yield running


class Desk:
    """Somebody at the console: looks at each page on a desk and on a phone, and without a mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page
        PICTURES.mkdir(parents=True, exist_ok=True)

    def look(self, name: str) -> None:
        """Picture the page wide, narrow and dark; nothing may stand out, nobody be shut out."""
        page = self.page
        self._tab(name)
        self._picture(f"{name}.desktop")
        page.emulate_media(color_scheme="dark")
        self._check(name, "dark")
        self._picture(f"{name}.dark")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        assert page.evaluate(WIDER) == [], name
        self._check(name, "phone")
        self._picture(f"{name}.phone")
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]

    def _check(self, name: str, how: str) -> None:
        found: dict[str, Any] = Axe().run(self.page).response
        faults = [
            (v["id"], [n["target"] for n in v["nodes"]])
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert faults == [], f"{name}, {how}"

    def _tab(self, name: str) -> None:
        """Every control has its turn with the Tab key, and shows it."""
        # Once around, wherever it begins: what scrolls takes a turn, too, and so does the edge.
        for _ in range(2 * self.page.evaluate(CONTROLS)):
            self.page.keyboard.press("Tab")
        assert self.page.evaluate(UNREACHED) == [], name
        # The pictures show the page as it is before anybody touched it.
        self.page.evaluate("document.activeElement.blur()")
        self.page.evaluate("scrollTo(0, 0)")

    def _picture(self, name: str) -> None:
        # Charts follow the page's width and colours at their next drawing.
        self.page.wait_for_timeout(600 if self.page.locator("canvas").count() else 100)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def test_a_shift_at_the_console(keeping: Service, recordings: Recordings, tmp_path: Path) -> None:
    microphone = recordings.voice(SYNTHETIC).wav48
    with Browser(tmp_path, microphone, recordings.person_camera()) as browser:
        page = browser.open(f"{keeping.url}/#token={TOKEN}")
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        desk = Desk(page)
        page.wait_for_selector("#service[data-state=live]")
        assert TOKEN not in page.url
        page.wait_for_selector("text=No call is monitored just now")
        desk.look("empty")
        call = publish(page)
        watch(page, desk)
        list_of_calls(page, desk, call)
        review(page, desk, keeping, call, tmp_path)
        replay(page, desk, recordings, keeping)
        stop(page, keeping, call)
        page.click("nav a[data-page=models]")
        page.wait_for_selector("text=not certified")
        desk.look("models")
        faults_would_be_found(page, desk)
        with_the_keyboard(page)
        wrong_token(page, desk)
    # 422: the empty upload, which is made on purpose.
    assert not [e for e in browser.errors if not expected(e) and "422" not in e]


def expected(error: str) -> bool:
    """A page that is left ends its streams; a refused token is answered with 401."""
    return "ERR_ABORTED" in error or "401" in error


def publish(page: Page) -> str:
    page.click("#start")
    page.wait_for_selector("body[data-call]")
    call = page.get_attribute("body", "data-call")
    assert call
    page.wait_for_url(f"**/#/calls/{call}")
    return call


def watch(page: Page, desk: Desk) -> None:
    """Lanes move, sound and face appear, and the state turns."""
    page.wait_for_selector(".lane[data-detector=voice]")
    page.wait_for_selector(".lane[data-detector=face]")
    # Not wait_for_function: it evaluates strings in the page, which its policy forbids.
    wait_until(lambda: page.text_content("#state") == "alert", 60, "the state alert", every=0.5)
    page.wait_for_selector("#state-words >> text=Bring in somebody who decides")
    count = ".lane[data-detector={}] .hint"
    assert page.text_content(count.format("voice")) == ""
    assert page.text_content(count.format("face")) == "shown only, does not count"
    page.wait_for_selector("#faces canvas:visible")
    page.wait_for_timeout(1000)
    assert page.evaluate(PAINTED, "#spectrogram canvas") > 40
    assert page.evaluate(PAINTED, "#faces canvas") > 200
    assert page.evaluate(PAINTED, ".lane[data-detector=voice] canvas") > 3
    told = page.get_attribute("#chart", "aria-label") or ""
    assert "alert line at" in told
    assert "suspicious from" in told
    assert int(page.text_content("#scored") or 0) >= 6
    page.click("text=Windows as a table")
    page.wait_for_selector("table >> text=voice")
    page.click("text=Windows as a table")
    desk.look("call")


def list_of_calls(page: Page, desk: Desk, call: str) -> None:
    page.click("nav a[data-page=calls]")
    row = page.wait_for_selector(f"#calls a[data-call='{call}'] .badge.alert")
    assert row
    assert "s not monitored" in (page.text_content(f"#calls a[data-call='{call}']") or "")
    desk.look("calls")


def review(page: Page, desk: Desk, service: Service, call: str, folder: Path) -> None:
    """The gravest alert first; its evidence is fetched and verified, the finding written down."""
    page.click("nav a[data-page=alerts]")
    card = page.locator("#alerts > li").first
    assert card.locator(".badge.alert").count() == 1
    alert = card.get_attribute("data-alert")
    card.locator("summary", has_text="Evidence").click()
    card.locator(".download").wait_for()
    with page.expect_download() as taken:
        card.locator(".download").click()
    card.locator("text=its SHA-256 is the one in the journal").wait_for()
    (bundle,) = service.get(f"/api/v1/alerts/{alert}/evidence")
    path = folder / taken.value.suggested_filename
    taken.value.save_as(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == bundle["sha256"]
    card.locator(".verify").click()
    card.locator("text=every part is as it was sealed").wait_for()
    desk.look("alerts")
    card.locator("input").fill("asked for a call back, <b>nobody</b> answered")
    card.locator("[data-outcome=true_fake]").click()
    done = page.locator(f"#reviewed [data-alert='{alert}'] .reviewed")
    done.wait_for()
    assert "<b>nobody</b>" in (done.text_content() or "")
    (found,) = service.get("/api/v1/reviews", alert=alert)
    assert found["outcome"] == "true_fake"
    assert found["call"] == call
    desk.look("reviewed")


def replay(page: Page, desk: Desk, recordings: Recordings, service: Service) -> None:
    """A recording of a person, as fast as it can be judged; its file is gone afterwards."""
    page.click("nav a[data-page=calls]")
    page.set_input_files("#file", recordings.damaged("empty.wav"))
    page.click("#upload")
    page.wait_for_selector("text=body: is empty")
    page.set_input_files("#file", recordings.voice(HUMAN).wav16)
    page.select_option("#pace", "fast")
    page.click("#upload")
    page.wait_for_selector(".lane[data-detector=voice]")
    page.wait_for_selector("text=recording; over")
    wait_until(lambda: float(page.text_content("#scored") or 0) > 30, 20, "30 scored seconds")
    assert page.text_content("#state") == "normal"
    call = page.url.rpartition("/")[2]
    assert service.call(call)["ingest"] == "file"
    page.select_option("#stretch", "0")
    desk.look("replay")
    uploads = service.settings.parent / "var" / "uploads"
    wait_until(lambda: not list(uploads.iterdir()), 5, "the upload's end")


def stop(page: Page, service: Service, call: str) -> None:
    page.goto(f"{service.url}/#/calls/{call}")
    page.click("#stop")
    wait_until(lambda: service.call(call)["ended"], 15, "the end of the call")
    page.wait_for_selector("#start:enabled")


def over(page: Page, words: str) -> None:
    """The page says that the call is over, and shows what was asked for while it went on."""
    page.wait_for_selector(f"#spectrogram >> text={words} This was its last minute.")
    page.wait_for_selector("#spectrogram canvas:visible")
    wait_until(lambda: page.evaluate(PAINTED, "#spectrogram canvas") > 40, 5, "the spectrogram")


def test_what_is_over_says_so_and_keeps_its_picture(
    service: Service, recordings: Recordings, tmp_path: Path
) -> None:
    with (
        Publisher(tmp_path, "call", f"{service.url}/whip", 1, TOKEN) as publisher,
        Browser(tmp_path) as browser,
    ):
        (unwatched,) = publisher.calls
        # A tone is no speech, and a window all the same.
        wait_until(lambda: service.call(unwatched)["participants"], 20, "a participant")
        wait_until(lambda: service.verdict(unwatched), 20, "a verdict")
        assert service.http.delete(f"/api/v1/calls/{unwatched}").status_code == 204
        page = browser.open(f"{service.url}/#token={TOKEN}")
        page.set_input_files("#file", recordings.voice(HUMAN).wav16)
        page.select_option("#pace", "fast")
        page.click("#upload")
        page.wait_for_selector("text=recording; over")
        over(page, "This recording has been replayed.")
        replayed = page.url
        page.goto(f"{service.url}/#/calls/{unwatched}")
        page.wait_for_selector("#spectrogram >> text=This call is over. There is no picture")
        assert not page.is_visible("#spectrogram canvas")
        page.wait_for_selector(".lane[data-detector=voice]")
        page.goto(replayed)
        page.reload()
        over(page, "This recording has been replayed.")
        assert not [e for e in browser.errors if not expected(e)]


def faults_would_be_found(page: Page, desk: Desk) -> None:
    """What shuts people out on purpose: a picture without words, and what Tab passes over."""
    page.evaluate("""() => {
        const link = document.querySelector("nav a[data-page=alerts]");
        link.tabIndex = -1;
        const picture = document.createElement("img");
        picture.src = "/console/icon.svg";
        document.querySelector("main h1").append(picture);
    }""")
    with pytest.raises(AssertionError, match="image-alt"):
        desk._check("broken", "light")
    with pytest.raises(AssertionError, match="data-page"):
        desk._tab("broken")


def with_the_keyboard(page: Page) -> None:
    """From the top of the page to the alerts without a mouse."""
    # Tab goes on from where the mouse was last; a fresh page begins at its top.
    page.reload()
    page.wait_for_selector("#service[data-state=live]")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.page") == "alerts":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 >> text=Alerts")
    assert page.evaluate("document.activeElement.tagName") == "H1"


def wrong_token(page: Page, desk: Desk) -> None:
    page.evaluate("sessionStorage.setItem('token', 'wrong')")
    page.reload()
    page.wait_for_selector("text=unknown token")
    desk.look("access")
    page.fill("#token", TOKEN)
    page.press("#token", "Enter")
    page.wait_for_selector("#service[data-state=live]")
    page.wait_for_selector("#access", state="hidden")
