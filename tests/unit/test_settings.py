"""Settings come from file and environment; what is wrong is named, secrets are not."""

from pathlib import Path

import pytest

from monitor.settings import SettingsError, load

SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "monitor.toml"
    path.write_text(text)
    return path


def test_defaults_stay_on_this_machine() -> None:
    settings = load(None)
    assert settings.bound_to_loopback
    assert settings.webrtc.ice_servers == ()
    assert not settings.has_token


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, '[server]\nhost = "127.0.0.2"\nport = 1\n')
    monkeypatch.setenv("MONITOR_SERVER__PORT", "2")
    monkeypatch.setenv("MONITOR_TOKEN", "t")
    settings = load(path)
    assert (settings.server.host, settings.server.port) == ("127.0.0.2", 2)
    assert settings.has_token


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nport = 99999\n", "server.port"),
        ("[server]\nprot = 1\n", "server.prot"),
        (f'[[webhooks]]\nurl = "ftp://x"\nsecret = "{SECRET}"\n', "webhooks.0"),
        ("[rtsp]\ntransport = 'carrier-pigeon'\n", "rtsp.transport"),
        ("[limits]\ncalls = 0\n", "limits.calls"),
        ("not toml", "monitor.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        load(tmp_path / "nowhere.toml")


def test_secrets_do_not_show(tmp_path: Path) -> None:
    text = f'[[webhooks]]\nurl = "https://x"\nsecret = "{SECRET}"\n'
    text += '[[sources]]\nuri = "rtsp://bob:hunter2@camera/"\n'
    shown = repr(load(write(tmp_path, text)))
    assert SECRET not in shown
    assert "hunter2" not in shown
