"""What every table of the settings file is."""

from pydantic import BaseModel, ConfigDict


class SettingsError(Exception):
    """A setting is wrong; the message names the file and the field."""


class Section(BaseModel):
    """A table of the settings file; unknown keys are errors, so that typing errors are found."""

    model_config = ConfigDict(extra="forbid", frozen=True)
