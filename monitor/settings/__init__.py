"""What can be configured: a file here for each group of tables.

Read by cli and by the modules that wire the service together only.
"""

from monitor.settings.section import PassingError, SettingsError, passing
from monitor.settings.server import ALL_SCOPES
from monitor.settings.settings import Settings, load

__all__ = ["ALL_SCOPES", "PassingError", "Settings", "SettingsError", "load", "passing"]
