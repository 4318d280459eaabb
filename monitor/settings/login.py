"""Who logs in to the console."""

import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from monitor.settings.section import Section

Role = Literal["viewer", "analyst", "operator"]
CALLBACK = "/login/callback"


class Oidc(Section):
    """An OpenID provider (extra `oidc`) that says who somebody is and what they may do."""

    issuer: str
    """As the provider names itself; `/.well-known/openid-configuration` lies below it."""
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    """Left out for a public client; PKCE is used with both."""
    redirect_uri: str
    """Where browsers come back to: the console's own URL and `/login/callback`."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    roles_claim: str = Field("roles", min_length=1)
    """Claim with a role or a list of them; dots lead into objects: `realm_access.roles`."""
    roles: dict[str, Role] = {r: r for r in ("viewer", "analyst", "operator")}
    """The provider's roles and what they are here; who has none of them is not let in."""
    name_claim: str = Field("preferred_username", min_length=1)
    """Claim that reviews and the audit log show beside the subject."""
    session_hours: float = Field(8.0, gt=0, le=168)
    """After which one has to log in again; until then a changed role changes nothing here."""
    timeout: float = Field(10.0, gt=0)
    """Seconds for each question to the provider."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""

    @field_validator("issuer", "redirect_uri")
    @classmethod
    def _encrypted(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("must be a URL with a host, and without user, query or fragment")
        if parts.scheme != "https" and not (parts.scheme == "http" and _local(parts.hostname)):
            raise ValueError("must be https://; http:// only on this machine")
        return value

    @field_validator("redirect_uri")
    @classmethod
    def _comes_back(cls, value: str) -> str:
        if urlsplit(value).path != CALLBACK:
            raise ValueError(f"its path must be {CALLBACK}")
        return value

    @field_validator("scopes")
    @classmethod
    def _openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError("must hold openid")
        return value

    @field_validator("roles")
    @classmethod
    def _somebody(cls, value: dict[str, Role]) -> dict[str, Role]:
        if not value:
            raise ValueError("nobody could log in")
        return value


def _local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
