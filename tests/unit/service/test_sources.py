"""Settings and requests → sources: what a source says itself wins."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from monitor.cluster.lease import Lease, Standing
from monitor.cluster.seal import Seal
from monitor.ingest.connection.location import SCHEMES
from monitor.service.fleet import MediaHost
from monitor.service.sources import Wanted, check_trust, configured, open_pull
from monitor.settings import Settings, SettingsError
from monitor.settings.media import Pull, Rtsp


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("none")
    pull = Pull.model_validate({"uri": "rtsps://x/", "tls_ca_file": wrong})
    for settings, field in (
        (Settings(rtsp=Rtsp(tls_ca_file=wrong)), "rtsp.tls_ca_file"),
        (Settings(sources=(pull,)), "sources.tls_ca_file"),
    ):
        with pytest.raises(SettingsError, match=f"{field}: .*wrong.pem"):
            check_trust(settings)
    check_trust(Settings())


def test_urls_of_no_source_are_refused() -> None:
    for uri in ("", "http://camera/", "file:///etc/passwd", "concat:a|b"):
        with pytest.raises(ValueError, match="uri"):
            open_pull(Settings(), Wanted(uri))
    with pytest.raises(SettingsError, match="sources: uri"):
        configured(Settings(), Pull.model_validate({"uri": "http://camera/"}))


def test_what_a_source_says_wins_over_the_settings(tmp_path: Path) -> None:
    settings = Settings(rtsp=Rtsp(open_timeout=7, tls_verify=False, tls_ca_file=tmp_path))
    plain = open_pull(settings, Wanted("rtsps://x/"))._options  # type: ignore[attr-defined]
    assert (plain.open_timeout, plain.transport, plain.read_timeout) == (7, "tcp", 3)
    assert (plain.trust.verify, plain.trust.ca_file) == (False, tmp_path)
    assert (plain.retry.at_once, plain.retry.give_up_after) == (False, 300)
    wanted = Wanted(
        "rtsps://x/", transport="udp", open_timeout=1, read_timeout=2, tls_verify=True,
        tls_ca_file=tmp_path / "mine", persistent=True,
    )  # fmt: skip
    own = open_pull(settings, wanted)._options  # type: ignore[attr-defined]
    assert (own.open_timeout, own.transport, own.read_timeout) == (1, "udp", 2)
    assert (own.trust.verify, own.trust.ca_file) == (True, tmp_path / "mine")
    assert (own.retry.at_once, own.retry.give_up_after) == (True, 0)


def test_every_scheme_opens_its_own_kind_of_source() -> None:
    kinds = {it: type(open_pull(Settings(), Wanted(f"{it}://camera/x"))).__name__ for it in SCHEMES}
    assert kinds == {
        "rtsp": "RtspSource",
        "rtsps": "RtspSource",
        "whep+http": "WhepSource",
        "whep+https": "WhepSource",
    }


KEPT = {"uri": "rtsp://user:hunter2@camera/", "participant": "p", "label": "l", "tls_ca_file": None}


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        # Of a later release, of one whose numbers were texts, and of none.
        ({**KEPT, "bit_rate": "hunter2"}, "bit_rate"),
        ({**KEPT, "open_timeout": "hunter2"}, "open_timeout"),
        ({**KEPT, "transport": "hunter2"}, "transport"),
        (["hunter2"], "no table of fields"),
    ],
)
def test_a_lease_of_another_release_is_refused_and_tells_no_secret(kept: Any, said: str) -> None:
    """A ValueError ends that lease (test_tenancy); anything else would end the node's calls."""
    seal = Seal("s" * 32)
    alerting = SimpleNamespace(store=None)
    service = SimpleNamespace(settings=Settings(), registry=None, alerting=alerting)
    host = MediaHost(cast(Any, service), Standing("i", "u", "v"), seal)
    with pytest.raises(ValueError, match=said) as refused:
        host.pull(Lease("s", 1, seal.close(kept)))
    assert "hunter2" not in str(refused.value)


def test_paths_come_back_from_a_lease_as_paths() -> None:
    assert Wanted(**{**KEPT, "tls_ca_file": "/ca.pem"}).tls_ca_file == Path("/ca.pem")  # type: ignore[arg-type]
