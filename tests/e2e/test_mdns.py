"""A browser that tells no address, only a name that the network resolves (mDNS)."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import wait_until
from tests.e2e.service import Service

HIDDEN = """
async () => {
  const context = new AudioContext();
  const tone = context.createOscillator(), out = context.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  const pc = window.pc = new RTCPeerConnection();
  for (const track of out.stream.getTracks()) pc.addTransceiver(track, {direction: 'sendonly'});
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== 'complete') await new Promise((r) => setTimeout(r, 50));
  return pc.localDescription.sdp;
}
"""


ANSWER = "async (sdp) => { await window.pc.setRemoteDescription({type: 'answer', sdp}); }"


@pytest.fixture
def route() -> Iterator[None]:
    """Without a way out the browser takes no address for its own; this one leads nowhere."""
    default = ["default", "dev", "v0"]
    subprocess.run(["ip", "route", "add", *default], check=True)
    yield
    subprocess.run(["ip", "route", "del", *default], check=True)


@pytest.mark.usefixtures("route")
def test_a_browser_that_hides_its_address_behind_a_name_connects(
    service: Service, tmp_path: Path
) -> None:
    # A page that may use no microphone is told no address: candidates are names of mDNS.
    flags = ("--enable-features=WebRtcHideLocalIpsWithMdns",)
    with Browser(tmp_path, flags=flags) as browser:
        hiding = browser.open(service.url)
        sdp = hiding.evaluate(HIDDEN)
        hosts = [line.split()[4] for line in sdp.splitlines() if line.startswith("a=candidate")]
        assert hosts
        assert all(host.endswith(".local") for host in hosts), hosts
        answer = service.http.post(
            "/whip", content=sdp, headers={"Content-Type": "application/sdp"}
        )
        assert answer.status_code == 201, answer.text
        hiding.evaluate(ANSWER, answer.text)
        location = answer.headers["location"]
        call = location.rsplit("/", 1)[1]
        wait_until(lambda: service.verdict(call), 20, "a verdict")
        assert service.http.delete(location).status_code == 200
        assert service.call(call)["ended"] == "ended"
