"""Monitors live calls for synthetic voices and forged faces."""

__version__ = "0.1.0"
