"""verify and evidence key: what recipients of bundles need, offline."""

import os
from pathlib import Path
from typing import Annotated

import typer

from monitor.commands.options import SettingsFile, chosen_settings, fail
from monitor.evidence.signing import KEY_FILE, PublicKey, Signer, SigningKeyError
from monitor.evidence.verify import State, verify

UNCHECKED = 3
"""Exit status when nothing is wrong and not everything could be checked."""


def verify_bundles(
    bundles: Annotated[
        list[Path],
        typer.Argument(metavar="BUNDLE...", help="Bundles in their order, or their folder."),
    ],
    key: Annotated[
        str | None,
        typer.Option(metavar="FILE|KEY", help="The service's public key: PEM file or base64."),
    ] = None,
) -> None:
    """Check evidence offline and say what is wrong with it.

    Exit status: 0 all is well, 1 something is wrong, 2 no such file or key, 3 not all could be
    checked.
    """
    for path in bundles:
        if not os.path.lexists(path):
            fail(f"{_printable(str(path))}: no such file or folder")
    checks = verify(bundles, _public_key(key) if key is not None else None)
    for check in checks:
        typer.echo(_printable(f"{check.state:<11}  {check.file}: {check.detail}"))
    states = {check.state for check in checks}
    if State.FAILED in states:
        raise typer.Exit(1)
    raise typer.Exit(UNCHECKED if State.UNCHECKED in states else 0)


def show_key(settings: SettingsFile = None) -> None:
    """Print the public key that verifies this service's bundles."""
    chosen = chosen_settings(settings)
    path = chosen.evidence.signing_key or chosen.state_dir / KEY_FILE
    try:
        typer.echo(Signer.open(path).public.pem, nl=False)
    except SigningKeyError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{path}: {error.strerror}")


def _printable(text: str) -> str:
    """What names in a bundle say must not move the terminal's cursor, nor fail to be written."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _public_key(text: str) -> PublicKey:
    path = Path(text)
    try:
        found = path.read_text(encoding="ascii") if path.is_file() else text
        return PublicKey.read(found)
    except (SigningKeyError, UnicodeDecodeError, OSError) as error:
        fail(f"--key: {error}")
