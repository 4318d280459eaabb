"""Entry points of other packages: what is loaded, and what is said of one that cannot be used."""

from importlib import metadata
from typing import Any, ClassVar

import pytest

from monitor.service import extensions
from monitor.service.destinations import build_destinations
from monitor.service.sources import Wanted, open_pull
from monitor.settings import Settings, SettingsError
from monitor.settings.delivery import Custom
from monitor.settings.extensions import Extensions
from monitor.types import AudioWindow, CueWindow, Reading


class Hearing:
    name = "hearing"
    model = "none"
    window: ClassVar[type] = AudioWindow

    def measure(self, window: AudioWindow) -> Reading:
        return Reading(1.0)


class Seeing(Hearing):
    name = "seeing"
    window = CueWindow


class Voice(Hearing):
    name = "voice"


class Misnamed(Hearing):
    name = "two words"


class Blind(Hearing):
    name = "blind"
    window = str


class Dumb:
    name = "dumb"
    model = "none"
    window = AudioWindow


class Failing(Hearing):
    def __init__(self) -> None:
        raise OSError("its model is not there")


class Somewhere:
    def __init__(self, password: str) -> None:
        if password == "wrong":
            raise ValueError(f"no such password: {password}")


def opened(uri: str, participant: str) -> Any:
    if uri == "here:":
        raise ValueError("needs a place")
    return (uri, participant)


INSTALLED = {
    "hearing": "Hearing", "seeing": "Seeing", "voice": "Voice", "misnamed": "Misnamed",
    "blind": "Blind", "dumb": "Dumb", "failing": "Failing", "gone": "Gone",
}  # fmt: skip


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is installed, as importlib.metadata sees it."""
    found = [
        *(
            metadata.EntryPoint(name, f"{__name__}:{what}", extensions.DETECTORS)
            for name, what in INSTALLED.items()
        ),
        metadata.EntryPoint("here", f"{__name__}:opened", extensions.SOURCES),
        metadata.EntryPoint("somewhere", f"{__name__}:Somewhere", extensions.DESTINATIONS),
    ]
    points = metadata.EntryPoints(found)
    monkeypatch.setattr(extensions, "entry_points", lambda group: points.select(group=group))


def test_only_what_is_named_is_loaded_and_goes_where_its_windows_are() -> None:
    assert extensions.detectors((), set()) == ([], [])
    listeners, cues = extensions.detectors(("hearing", "seeing"), {"voice", "face"})
    assert [it.name for it in listeners] == ["hearing"]
    assert [it.name for it in cues] == ["seeing"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("absent", "no installed package.*there are: blind, dumb"),
        ("gone", "cannot be loaded: AttributeError"),
        ("failing", "OSError: its model is not there"),
        ("misnamed", "`name`"),
        ("voice", "another detector 'voice'"),
        ("dumb", "a `model` and measures"),
        ("blind", "`window`"),
    ],
)
def test_a_detector_that_cannot_be_used_is_named(name: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"extensions.detectors: '{name}'.*{why}"):
        extensions.detectors(("hearing", name), {"voice"})


def test_one_detector_named_twice_is_one_too_many() -> None:
    with pytest.raises(SettingsError, match="another detector 'hearing'"):
        extensions.detectors(("hearing", "hearing"), set())


def test_a_source_is_opened_by_its_scheme_once_the_settings_name_it() -> None:
    wanted = Wanted("here:a", participant="ann")
    with pytest.raises(ValueError, match="uri"):
        open_pull(Settings(), wanted)
    settings = Settings(extensions=Extensions(sources=("here", "absent")))
    assert open_pull(settings, wanted) == ("here:a", "ann")  # type: ignore[comparison-overlap]
    with pytest.raises(ValueError, match="uri: needs a place"):
        open_pull(settings, Wanted("here:"))
    with pytest.raises(SettingsError, match="extensions.sources: 'absent'"):
        open_pull(settings, Wanted("absent:a"))


def test_a_destination_is_made_of_its_options_and_their_values_are_never_told() -> None:
    def built(**options: Any) -> list[Any]:
        chosen = Custom(name="desk", kind="somewhere", options=options)
        assert "secret" not in repr(chosen)
        return build_destinations(Settings(custom=(chosen,)), lambda call: False)

    ((terms, destination),) = built(password="secret")
    assert (terms.name, type(destination)) == ("desk", Somewhere)
    with pytest.raises(SettingsError, match="custom 'desk': kind 'somewhere': ValueError") as told:
        built(password="wrong")
    assert "no such password" not in str(told.value)
    with pytest.raises(SettingsError, match="TypeError with options passwort"):
        built(passwort="secret")
    with pytest.raises(SettingsError, match="custom 'desk': kind 'nowhere': no installed"):
        build_destinations(
            Settings(custom=(Custom(name="desk", kind="nowhere"),)), lambda call: False
        )
