"""What other installed packages add."""

from monitor.settings.section import Section


class Extensions(Section):
    """Names of entry points; what is not named here is not loaded."""

    detectors: tuple[str, ...] = ()
    """Of `deepfake_monitor.detectors`: shown beside the others, and never decide."""
    sources: tuple[str, ...] = ()
    """Of `deepfake_monitor.sources`: schemes that `[[sources]]` may have."""
