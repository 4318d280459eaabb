"""Who reaches the service, and what one process takes on."""

from hashlib import sha256
from typing import Literal

from pydantic import AwareDatetime, Field, field_validator

from monitor.settings.section import Section

Scope = Literal["publish", "read", "review", "control", "metrics"]
ALL_SCOPES: tuple[Scope, ...] = ("publish", "read", "review", "control", "metrics")


class Token(Section):
    """An API token, kept as a hash."""

    name: str
    """Whom it was given to; appears in logs."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Hexadecimal SHA-256 of the token."""
    scopes: tuple[Scope, ...] = ALL_SCOPES
    not_after: AwareDatetime | None = None
    """When it ends, with its offset from UTC; left out, never. A new one beside it, before that,
    lets its holders change over."""

    @field_validator("sha256")
    @classmethod
    def _of_something(cls, value: str) -> str:
        if value == sha256(b"").hexdigest():
            raise ValueError("is the hash of an empty token")
        return value


class Server(Section):
    """The HTTP interface."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    """TCP port; 0 picks a free one."""
    tokens: tuple[Token, ...] = ()
    cors_origins: tuple[str, ...] = ()
    """Web origins whose pages may publish and read; none by default."""
    connections: int = Field(0, ge=0)
    """Open at once, WebSockets among them, half of them for one address at most; 0 means half of
    the descriptors that the process may have."""
    previews: bool = True
    """Whether the console may show sound and faces of calls in progress; never stored."""


class Limits(Section):
    """What one process takes on."""

    calls: int = Field(20, ge=1)
    """Calls monitored at once; further ones are refused with Retry-After."""
    calls_per_sender: int = Field(0, ge=0)
    """Calls that one token or peer may have at once; 0 means as many as there is room for."""
    unheard_per_sender: int = Field(0, ge=0)
    """Calls without media yet that one token or peer may have at once, so that who sends none
    keeps nobody out; 0 means half of `calls`, two at least."""
    inference_threads: int = Field(0, ge=0)
    """0 means one per core."""
    upload_megabytes: float = Field(200.0, ge=0)
    """Of one recording that is uploaded to be replayed; 0 takes none."""

    @property
    def unheard(self) -> int:
        """Calls without media of one sender."""
        return self.unheard_per_sender or max(2, (self.calls + 1) // 2)


class Governor(Section):
    """When the machine counts as late, thins video and takes no further calls; seconds."""

    enabled: bool = True
    loop_lag: float = Field(0.25, gt=0)
    """Mean lateness of the event loop from which video is thinned, and no call taken."""
    inference_wait: float = Field(0.5, gt=0)
    """The same of the longest wait for an inference thread."""
    rise_after: float = Field(1.5, ge=0)
    """For how long it must last, before each level."""
    recover_after: float = Field(15.0, gt=0)
    """For how long it must be below a half, before each level back."""


class Inference(Section):
    """Where detectors compute."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU if ONNX Runtime offers CUDA; `cuda` refuses to start without."""
