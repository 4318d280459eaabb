"""A challenger takes the service's place only whole, verified and certified."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitor.cli import cli
from monitor.inference.catalogue import Catalogue, CatalogueError
from monitor.offline.promotion import PromotionError, promote
from monitor.service.judges import load_judges
from monitor.types import AlertType
from tests.models import CERTIFIED, UNCERTIFIED, write_models

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def tree(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return write_models(tmp_path / "models")


def test_a_certified_challenger_takes_the_place_and_the_old_one_is_kept(
    tmp_path: Path, target: Path
) -> None:
    challenger = write_models(tmp_path / "challenger", gain=50.0)
    (challenger / "notes.txt").write_text("not named by the manifest")
    before, wanted = tree(target), tree(challenger)
    done = promote(challenger, target, load_judges, AT)
    assert done.backup == tmp_path / "models.before-20260102T030405"
    assert tree(done.backup) == before
    assert tree(target) == {k: v for k, v in wanted.items() if k != "notes.txt"}
    assert done.models == {"voice": Catalogue(challenger).models["voice"].version}
    assert load_judges(target).voice.model == done.models["voice"]
    assert target.stat().st_mode == done.backup.stat().st_mode
    assert sorted(p.name for p in tmp_path.iterdir()) == ["challenger", "models", done.backup.name]


def test_a_new_policy_for_the_same_model_can_be_promoted(tmp_path: Path, target: Path) -> None:
    stricter = [replace(t, budget_per_hour=2 * t.budget_per_hour) for t in CERTIFIED]
    challenger = write_models(tmp_path / "challenger", stricter)
    promote(challenger, target, load_judges, AT)
    tier = load_judges(target).policies[AlertType.VOICE].certificate.tiers["review"]
    assert tier.budget_per_hour == 1.2


def test_there_need_not_be_anything_to_replace(tmp_path: Path) -> None:
    challenger = write_models(tmp_path / "challenger")
    done = promote(challenger, tmp_path / "fresh", load_judges, AT)
    assert done.backup is None
    assert tree(tmp_path / "fresh") == tree(challenger)


def test_an_uncertified_tier_is_refused_by_name_hours_and_bound(
    tmp_path: Path, target: Path
) -> None:
    challenger = write_models(tmp_path / "challenger", UNCERTIFIED)
    before = tree(tmp_path)
    with pytest.raises(PromotionError) as caught:
        promote(challenger, target, load_judges, AT)
    message = str(caught.value)
    # No alarm in 8 hours: 3.0 / 8 an hour is all that is known.
    for part in ("voice", "'alert'", "not certified", "8 hours", "0.374", "0.12"):
        assert part in message
    assert "'review'" not in message
    assert tree(tmp_path) == before


def test_a_policy_without_tiers_is_not_certified_by_default(tmp_path: Path, target: Path) -> None:
    challenger = write_models(tmp_path / "challenger", ())
    with pytest.raises(PromotionError, match="no tier"):
        promote(challenger, target, load_judges, AT)


def tamper(folder: Path) -> None:
    with (folder / "voice" / "model.onnx").open("ab") as file:
        file.write(b"more")


def without_decision(folder: Path) -> None:
    path = folder / "manifest.toml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("decision")))


def missing_card(folder: Path) -> None:
    (folder / "voice" / "card.md").unlink()


def outside(folder: Path) -> None:
    path = folder / "manifest.toml"
    path.write_text(path.read_text().replace("voice/card.md", "../models/voice/card.md"))


def no_manifest(folder: Path) -> None:
    (folder / "manifest.toml").unlink()


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (tamper, "challenger/voice/model.onnx: SHA-256"),
        (without_decision, "no decision file"),
        (missing_card, "challenger/voice/card.md"),
        (outside, "outside the folder"),
        (no_manifest, "challenger/manifest.toml"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_and_nothing_changes(
    tmp_path: Path, target: Path, harm: Callable[[Path], None], named: str
) -> None:
    challenger = write_models(tmp_path / "challenger")
    harm(challenger)
    before = tree(tmp_path)
    with pytest.raises((PromotionError, CatalogueError), match=named):
        promote(challenger, target, load_judges, AT)
    assert tree(tmp_path) == before


def test_a_model_the_service_has_must_not_get_lost(tmp_path: Path, target: Path) -> None:
    manifest = target / "manifest.toml"
    voice = manifest.read_text()
    manifest.write_text(voice + voice.replace('"voice"', '"face"'))
    challenger = write_models(tmp_path / "challenger")
    with pytest.raises(PromotionError, match="lacks model 'face'"):
        promote(challenger, target, load_judges, AT)


def test_a_folder_is_not_promoted_over_itself_or_its_parent(target: Path) -> None:
    with pytest.raises(PromotionError, match="is the folder"):
        promote(target, target, load_judges, AT)
    inside = write_models(target / "next")
    with pytest.raises(PromotionError, match="inside"):
        promote(inside, target, load_judges, AT)


def test_a_backup_is_never_overwritten(tmp_path: Path, target: Path) -> None:
    challenger = write_models(tmp_path / "challenger", gain=50.0)
    promote(challenger, target, load_judges, AT)
    before = tree(tmp_path)
    with pytest.raises(PromotionError, match="exists already"):
        promote(challenger, target, load_judges, AT)
    assert tree(tmp_path) == before


def test_the_command(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONITOR_MODELS_DIR", raising=False)
    good = write_models(tmp_path / "good", gain=50.0)
    bad = write_models(tmp_path / "bad", UNCERTIFIED)
    settings = tmp_path / "monitor.toml"
    settings.write_text(f'models_dir = "{target}"\n')
    runner = CliRunner()
    refused = runner.invoke(cli, ["models", "promote", str(bad), "--settings", str(settings)])
    assert refused.exit_code == 2
    assert "tier 'alert' is not certified" in refused.stderr
    done = runner.invoke(cli, ["models", "promote", str(good), "--settings", str(settings)])
    assert done.exit_code == 0, done.output
    assert "models.before-" in done.stdout
    assert load_judges(target).voice.model == load_judges(good).voice.model
    elsewhere = tmp_path / "elsewhere"
    again = runner.invoke(cli, ["models", "promote", str(good), "--to", str(elsewhere)])
    assert again.exit_code == 0, again.output
    assert tree(elsewhere) == tree(good)
    forced = runner.invoke(cli, ["models", "promote", str(bad), "--force-uncertified"])
    assert forced.exit_code == 2
