"""What every table of the settings file is."""

import errno
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class SettingsError(Exception):
    """A setting is wrong; the message names the file and the field."""


class PassingError(SettingsError):
    """What a setting names cannot be used just now: a full disk, a lock, a server that is away."""


def passing(error: OSError) -> type[SettingsError]:
    """The kind of error that a failure of the system is: one that may pass, or not."""
    return PassingError if error.errno in _PASSING else SettingsError


def refuse_blank(section: BaseModel) -> None:
    """Raise ValueError, naming the field, for a secret of nothing: it would be everybody's."""
    for name, field in type(section).model_fields.items():
        value: Any = getattr(section, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, SecretStr) and each != field.default:
                if not each.get_secret_value().strip():
                    raise ValueError(f"{name}: is blank; leave it out if there is none")


class Section(BaseModel):
    """A table of the settings file; unknown keys are errors, so that typing errors are found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _no_secret_is_blank(self) -> Self:
        refuse_blank(self)
        return self
