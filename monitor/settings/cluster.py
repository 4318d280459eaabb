"""How calls are spread over machines (extra `ray`)."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from monitor.settings.section import Section


class Cluster(Section):
    """Read by `serve --cluster` alone; seconds unless said otherwise."""

    address: str = ""
    """Ray's head, `HOST:PORT`; left out, what RAY_ADDRESS names, or the Ray of this machine."""
    secret: SecretStr | None = None
    """At least 32 characters, the same for every gateway: signs redirects and encrypts the
    credentials of sources in the database."""
    signalling: Literal["redirect", "proxy"] = "redirect"
    """Whether WHIP clients are sent on to a node with 307, or their offers are handed on."""
    ticket_seconds: float = Field(30.0, gt=0, le=600)
    """For how long a redirect may be followed; clocks may differ by less."""
    node_ports: tuple[int, int] = (8090, 8099)
    """First and last TCP port of a node; the first free one is taken. (0, 0) takes any."""
    node_url: str = "http://{host}:{port}"
    """How clients reach a node, where a proxy in front of it gives it another address."""
    lease_seconds: float = Field(5.0, ge=1, le=60)
    """A node that can renew its leases nowhere for so long stops pulling its sources; another
    begins after that, and not before."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.secret is not None and len(self.secret.get_secret_value()) < 32:
            raise ValueError("secret must have at least 32 characters")
        first, last = self.node_ports
        if not 0 <= first <= last <= 65_535 or (first == 0) != (last == 0):
            raise ValueError("node_ports must be two TCP ports, the lower first, or [0, 0]")
        try:
            shown = self.node_url.format(host="192.0.2.1", port=1)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError("node_url may hold {host} and {port} and no other braces") from error
        if not shown.startswith(("http://", "https://")) or shown.endswith("/"):
            raise ValueError("node_url must begin with http:// or https:// and not end with /")
        return self
