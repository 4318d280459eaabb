"""A LiveKit Agents plugin.

from livekit.plugins import deepfake_monitor

monitor = deepfake_monitor.DeepfakeMonitor(url="wss://monitor.example", token=TOKEN)
monitor.on("alert", lambda event: ...)
monitor.watch(ctx.room)      # everybody's microphone, or, of the session's caller only:
session.input.audio = monitor.listen(session.input.audio)
ctx.add_shutdown_callback(monitor.aclose)
"""

from livekit.agents import Plugin

from .log import logger
from .monitor import DeepfakeMonitor
from .version import __version__

__all__ = ["DeepfakeMonitor", "__version__"]


class DeepfakeMonitorPlugin(Plugin):
    """How the framework knows of it."""

    def __init__(self) -> None:
        super().__init__(__name__, __version__, __package__ or __name__, logger)


Plugin.register_plugin(DeepfakeMonitorPlugin())
