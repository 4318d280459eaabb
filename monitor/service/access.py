"""Settings → who may use the API."""

import secrets
from pathlib import Path

from pydantic import SecretStr

from monitor.delivery.http import context
from monitor.settings import ALL_SCOPES, Settings, SettingsError, passing
from monitor.settings.login import Role
from monitor.web.auth import Grant, digest
from monitor.web.login.login import Login, Roles
from monitor.web.sessions import Sessions

SCOPES: dict[Role, frozenset[str]] = {
    "viewer": frozenset({"read"}),
    "analyst": frozenset({"read", "review"}),
    "operator": frozenset({"read", "review", "publish", "control"}),
}
"""What each role may do."""


def grants(settings: Settings) -> list[Grant]:
    """Return who may use the API: configured tokens and the one from the environment."""
    found = [
        Grant(t.name, t.sha256, frozenset(t.scopes), t.not_after) for t in settings.server.tokens
    ]
    if settings.token is not None:
        hashed = digest(settings.token.get_secret_value())
        found.append(Grant("environment", hashed, frozenset(ALL_SCOPES)))
    return found


def login(settings: Settings) -> Login | None:
    """Return what logging in takes, if there is a provider; raises SettingsError."""
    chosen = settings.oidc
    if chosen is None:
        return None
    try:
        # Here and not above: an extra.
        from monitor.web.login.provider import Client, OpenIdProvider

        tls = context(str(chosen.ca_file) if chosen.ca_file is not None else None)
    except ModuleNotFoundError as error:
        needed = "needs the extra `oidc`: pip install 'deepfake-monitor[oidc]'"
        raise SettingsError(f"oidc: {needed}") from error
    except ValueError as error:
        raise SettingsError(f"oidc.ca_file: {error}") from error
    secret = chosen.client_secret
    client = Client(
        chosen.issuer,
        chosen.client_id,
        chosen.redirect_uri,
        chosen.scopes,
        secret.get_secret_value() if secret is not None else None,
    )
    roles = Roles(
        chosen.roles_claim, {r: SCOPES[role] for r, role in chosen.roles.items()}, chosen.name_claim
    )
    sessions = Sessions(chosen.session_hours * 3600, chosen.redirect_uri.startswith("https://"))
    return Login(OpenIdProvider(client, chosen.timeout, tls), roles, sessions)


def ensure_token(settings: Settings) -> tuple[Settings, Path | None]:
    """Make a token for a service that has none, if only this machine can reach it.

    Returns the settings to use and the file the token is in. Raises SettingsError when the
    service would be open to others without anybody having configured who may use it.
    """
    if settings.has_token:
        return settings, None
    if not settings.bound_to_loopback:
        raise SettingsError(
            f"server.host: {settings.server.host} can be reached from outside; "
            "configure server.tokens or MONITOR_TOKEN first"
        )
    path = settings.state_dir / "token"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32) + "\n", encoding="utf-8")
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise passing(error)(f"state_dir: {path}: {error.strerror}") from error
    if not token:
        raise SettingsError(f"state_dir: {path} is empty; delete it")
    return settings.model_copy(update={"token": SecretStr(token)}), path
