"""models verify and models promote."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from monitor.commands.options import SettingsFile, chosen_settings, fail
from monitor.inference.catalogue import Catalogue, CatalogueError, default_folder
from monitor.offline.promotion import PromotionError, promote
from monitor.runtime import log
from monitor.service.app import build_offline
from monitor.service.judges import load_judges


def verify_models(settings: SettingsFile = None) -> None:
    """Check every model file against the manifest and load it as the service would."""
    chosen = chosen_settings(settings)
    log.configure("error")
    try:
        catalogue = Catalogue(chosen.models_dir or default_folder())
        for name in catalogue.models:
            model = catalogue.verified(name)
            typer.echo(f"{name} {model.version} ok, license {model.license}")
        build_offline(chosen)
    except (CatalogueError, FileNotFoundError) as error:
        fail(str(error))


def promote_models(
    folder: Annotated[Path, typer.Argument(help="The challenger's models folder.")],
    to: Annotated[
        Path | None, typer.Option(help="Folder to replace; the service's own if left out.")
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Put a challenger's models in the service's place, if every tier is certified."""
    target = to or chosen_settings(settings).models_dir or default_folder()
    try:
        done = promote(folder, target, load_judges, datetime.now(UTC))
    except (PromotionError, CatalogueError) as error:
        fail(str(error))
    for name, version in done.models.items():
        typer.echo(f"{name} {version} promoted to {target}")
    if done.backup is not None:
        typer.echo(f"what was there before is in {done.backup}")
    typer.echo("a running service uses it after its next start")
