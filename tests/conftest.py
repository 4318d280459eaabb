"""Holds for all tests: a machine with ten other busy processes takes ten times as long."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
