"""The tests run with the versions of constraints.txt, which are such as pyproject.toml asks for."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
UNLOCKED = {"fuzz"}
"""Extras that `make test` does not install."""


def wanted() -> dict[str, list[Requirement]]:
    """What pyproject.toml asks for, by the extra that does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        extra: [Requirement(line) for line in lines]
        for extra, lines in extras.items()
        if extra not in UNLOCKED
    }


def locked() -> dict[str, Version]:
    """Exact versions by name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    parted = [line.partition("==") for line in lines]
    assert all(name and pin for name, _, pin in parted), "each line is NAME==VERSION"
    return {canonicalize_name(name): Version(pin) for name, _, pin in parted}


@pytest.mark.parametrize("extra", wanted())
def test_what_is_asked_for_is_locked(extra: str) -> None:
    pins = locked()
    for requirement in wanted()[extra]:
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement}: not in constraints.txt (`make lock`)"
        assert requirement.specifier.contains(pin, prereleases=True), f"{requirement}: {pin} locked"


def test_the_tests_run_with_what_is_locked() -> None:
    others = []
    for name, pin in locked().items():
        try:
            here = Version(version(name))
        except PackageNotFoundError:
            # Needed on another system or by another Python.
            continue
        if here.public != pin.public:
            others.append(f"{name} {here}, locked {pin}")
    assert not others, "run `make test`, which installs what is locked"


def test_the_lock_names_no_place_and_no_build() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert not [word for word in ("://", "--", "@", "+") if word in text]
