"""A person opens the page, publishes microphone and camera, and the monitor decides."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import HUMAN, SYNTHETIC
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import TOKEN, Service

PREFER = """codec => {
    const offer = RTCPeerConnection.prototype.createOffer;
    RTCPeerConnection.prototype.createOffer = function (...rest) {
        const all = RTCRtpReceiver.getCapabilities("video").codecs;
        const wanted = all.filter(c => c.mimeType === codec || c.mimeType === "video/rtx");
        for (const each of this.getTransceivers())
            if (each.sender.track?.kind === "video") each.setCodecPreferences(wanted);
        return offer.apply(this, rest);
    };
}"""
"""Makes a page offer no other codec of pictures."""


def publish(service: Service, browser: Browser, codec: str = "") -> tuple[Page, str]:
    """Press the page's button; return the page and the call it started."""
    page = browser.open(f"{service.url}/#token={TOKEN}")
    if codec:
        page.evaluate(PREFER, codec)
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


@pytest.mark.parametrize("codec", ["video/VP9", "video/AV1"])
def test_a_browser_that_offers_one_other_codec_is_seen(
    service: Service, recordings: Recordings, artifacts: Path, codec: str
) -> None:
    with Browser(artifacts, recordings.voice(HUMAN).wav48, recordings.camera()) as browser:
        page, call = publish(service, browser, codec)
        # A face is found in what was decoded.
        wait_until(lambda: "px wide" in (page.text_content("#face") or ""), 60, "a face")
        service.wait_verdict(call, scored=3, timeout=60)
        page.click("#stop")
        wait_until(lambda: service.call(call)["ended"], 10, "the end of the call")
        assert not browser.errors
    (participant,) = service.call(call)["participants"]
    assert (participant["audio"], participant["video"]) == (True, True)
    said = [r for r in service.log("webrtc video") if r["call"] == call]
    assert said[-1]["decoded"] > 10
