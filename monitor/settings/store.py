"""What is kept, where, and for how long."""

from pydantic import Field, SecretStr

from monitor.settings.section import Section

DAY = 86_400.0


class Retention(Section):
    """Days after which rows are deleted; 0 keeps them. A legal hold outlasts all of them."""

    timelines: float = Field(7.0, ge=0)
    """Window scores of ended calls."""
    calls: float = Field(90.0, ge=0)
    """Ended calls with their alerts and reviews, from the call's end."""
    deliveries: float = Field(30.0, ge=0)
    """Deliveries that are done or were given up."""
    audit: float = Field(730.0, ge=0)
    """The record of who did what."""
    every: float = Field(3600.0, gt=0)
    """Seconds between two rounds."""


class Store(Section):
    """The database."""

    url: SecretStr | None = None
    """`postgresql://…` (extra `postgres`); left out, a SQLite file in state_dir."""
    instance: str = Field("main", pattern="^[a-z0-9_-]{1,40}$")
    """Names this process among those that share a database: it delivers what it raised."""
    timelines: bool = True
    """Whether window scores are kept; alerts carry their own in any case."""
    busy_timeout: float = Field(5.0, gt=0)
    """Seconds to wait for another process's lock on the SQLite file."""
    retention: Retention = Retention()
