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
        (f'[[webhooks]]\nurl = "http:///x"\nsecret = "{SECRET}"\n', "webhooks.0.url"),
        ("[[alertmanagers]]\nurl = 'am:9093'\n", "alertmanagers.0.url"),
        ("[[siem]]\nurl = 'tcp://log'\n", "siem.0"),
        ("[[siem]]\nformat = 'cef'\nurl = 'https://log/'\n", "siem.0"),
        (
            "[[siem]]\nformat = 'cef'\nurl = 'tcp://log:1'\nocsf_version = '1.7'\n",
            "ocsf_version",
        ),
        ("[[siem]]\nurl = 'tcp://log:1'\nocsf_version = '1.6'\n", "siem.0.ocsf_version"),
        ("[[siem]]\nname = 'Se cret'\nurl = 'tcp://log:1'\n", "siem.0.name"),
        ("[[mqtt]]\nurl = 'tcp://broker'\n", "mqtt.0.url"),
        ("[[mqtt]]\nurl = 'mqtt://bob:hunter2@broker'\n", "mqtt.0.url"),
        ("[[mqtt]]\nurl = 'mqtts://broker/topic'\n", "mqtt.0.url"),
        ("[[mqtt]]\nurl = 'mqtt://broker'\ntopic = 'a/#'\n", "mqtt.0.topic"),
        ("[[mqtt]]\nurl = 'mqtt://broker'\ntopic = '$SYS/a'\n", "mqtt.0.topic"),
        ("[[mqtt]]\nurl = 'mqtt://broker'\npassword = 'hunter2'\n", "mqtt.0"),
        ("[[nats]]\nurl = 'ws://server'\n", "nats.0.url"),
        ("[[nats]]\nurl = 'tls://hunter2@server'\n", "nats.0.url"),
        ("[[nats]]\nurl = 'nats://server'\nsubject = 'a b'\n", "nats.0.subject"),
        ("[[nats]]\nurl = 'nats://server'\nsubject = 'a..b'\n", "nats.0.subject"),
        ("[[nats]]\nurl = 'nats://server'\nstream = 'a.b'\n", "nats.0.stream"),
        (
            "[[nats]]\nurl = 'nats://server'\nusername = 'a'\ntoken = 'hunter2'\n",
            "nats.0",
        ),
        ("[advice]\nreview = 'hang_up'\n", "advice.review"),
        ("[[allowed]]\nname = 'x'\nreason = 'y'\nparticipant = 'z'\n", "allowed.0.until"),
        (
            "[[allowed]]\nname = 'x'\nreason = 'y'\nuntil = 2099-01-01T00:00:00Z\n",
            "allowed.0",
        ),
        (
            "[[allowed]]\nname = 'x'\nreason = 'y'\nlabel = 'z'\nuntil = 2099-01-01T00:00:00\n",
            "allowed.0.until",
        ),
        ("[store.retention]\ncalls = -1\n", "store.retention.calls"),
        ('[zoom]\nclient_id = "x"', "zoom"),
        ('[zoom]\nclient_id = "x"\nclient_secret = ""\nsecret_token = "y"', "zoom"),
        ("[zoom]\nhosts = []", "zoom.hosts"),
        ('[zoom]\nvideo = "jpeg"\nfps = 10', "zoom"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        load(tmp_path / "nowhere.toml")


def test_secrets_do_not_show(tmp_path: Path) -> None:
    text = f'[[webhooks]]\nurl = "https://x"\nsecret = "{SECRET}"\n'
    text += '[[sources]]\nuri = "rtsp://bob:hunter2@camera/"\n'
    shown = repr(load(write(tmp_path, text)))
    assert SECRET not in shown
    assert "hunter2" not in shown


def test_two_destinations_need_two_names(tmp_path: Path) -> None:
    hook = f'[[webhooks]]\nurl = "https://x"\nsecret = "{SECRET}"\n'
    with pytest.raises(SettingsError, match="two destinations have the name 'webhook'"):
        load(write(tmp_path, hook + hook))
    other = '[[siem]]\nname = "webhook"\nurl = "tcp://log:514"\n'
    with pytest.raises(SettingsError, match="two destinations"):
        load(write(tmp_path, hook + other))


def test_secrets_of_destinations_and_the_database_do_not_show(tmp_path: Path) -> None:
    text = (
        f'[[webhooks]]\nurl = "https://x"\nsecret = "{SECRET}"\nprevious_secrets = ["{SECRET}"]\n'
    )
    text += '[[notify]]\nurl = "slack://hunter2/x/y"\n'
    text += '[[mqtt]]\nurl = "mqtts://broker"\nusername = "bob"\npassword = "hunter2"\n'
    text += '[[nats]]\nurl = "tls://server"\ntoken = "hunter2"\n'
    text += '[store]\nurl = "postgresql://bob:hunter2@db/monitor"\n'
    shown = repr(load(write(tmp_path, text)))
    assert SECRET not in shown
    assert "hunter2" not in shown
