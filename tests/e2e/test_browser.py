"""A person opens the page, publishes microphone and camera, and the monitor decides."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import HUMAN, SYNTHETIC
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import TOKEN, Service


def publish(service: Service, browser: Browser) -> tuple[Page, str]:
    """Press the page's button; return the page and the call it started."""
    page = browser.open(f"{service.url}/#token={TOKEN}")
    page.click("#start")
    page.wait_for_selector("body[data-call]")
    call = page.get_attribute("body", "data-call")
    assert call
    return page, call


@pytest.mark.parametrize(("voice", "alarms"), [(HUMAN, False), (SYNTHETIC, True)])
def test_a_browser_is_monitored_while_it_talks(
    service: Service, recordings: Recordings, artifacts: Path, voice: str, alarms: bool
) -> None:
    microphone = recordings.voice(voice).wav48
    with Browser(artifacts, microphone, recordings.camera()) as browser:
        page, call = publish(service, browser)
        if alarms:
            wait_until(
                lambda: [a for a in service.alerts(call) if a["tier"] == "alert"],
                45,
                "an alert",
                every=0.5,
            )
        verdict = service.wait_verdict(call, scored=10 if alarms else 40, timeout=60)
        wait_until(lambda: float(page.text_content("#scored") or 0) > 5, 5, "5 scored seconds")
        browser.screenshot(page, voice)
        shown = page.text_content("#state")
        face = page.text_content("#face")
        page.click("#stop")
        wait_until(lambda: service.call(call)["ended"], 10, "the end of the call")
        page.wait_for_selector("#start:enabled")
    assert shown == verdict["state"]
    assert "px wide" in (face or "")
    assert not browser.errors
    alerts = service.alerts(call)
    if alarms:
        first = next(a for a in alerts if a["tier"] == "alert")
        scored = first["verdict"]["seconds"]["scored"]
        assert first["action"] == "raised"
        assert scored <= 30
        assert shown == "alert"
    else:
        assert alerts == []
        assert shown == "normal"
    assert service.call(call)["ended"] == "ended"
