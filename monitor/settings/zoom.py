"""Zoom meetings by Realtime Media Streams."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from monitor.settings.section import Section


class Zoom(Section):
    """An app of Zoom's marketplace; offered once all three secrets are set. Seconds."""

    client_id: str = ""
    client_secret: SecretStr | None = None
    """Signs what is asked of Zoom; of the Video SDK, key and secret."""
    secret_token: SecretStr | None = None
    """Signs what Zoom says to `/zoom/webhook`."""
    hosts: tuple[str, ...] = Field(("*.zoom.us",), min_length=1)
    """Hosts that may be dialled when a webhook names them; * and ? as in file names."""
    codec: Literal["l16", "g711", "g722", "opus"] = "l16"
    """How sound is asked for."""
    video: Literal["off", "jpeg", "h264"] = "off"
    """How the picture of who speaks is asked for; needs the app's scope for video."""
    fps: int = Field(5, ge=1, le=30)
    """Pictures a second; Zoom sends at most 5 as JPEG."""
    open_timeout: float = Field(10.0, gt=0)
    """For each connection and each handshake."""
    quiet_timeout: float = Field(60.0, gt=0)
    """Without any message, after which a connection is taken for dead."""
    give_up_after: float = Field(60.0, gt=0)
    """Without Zoom for this long the call ends."""
    tls_ca_file: Path | None = None
    """Certificates in PEM to trust in place of the system's."""

    @property
    def enabled(self) -> bool:
        """Whether webhooks are heard."""
        return bool(self.client_id)

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [bool(self.client_id), self.client_secret is not None]
        given.append(self.secret_token is not None)
        if any(given) and not all(given):
            raise ValueError("client_id, client_secret and secret_token belong together")
        for secret in (self.client_secret, self.secret_token):
            if secret is not None and not secret.get_secret_value():
                raise ValueError("an empty secret protects nothing")
        if self.video == "jpeg" and self.fps > 5:
            raise ValueError("fps: at most 5 as JPEG")
        return self
