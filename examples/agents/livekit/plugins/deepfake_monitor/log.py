"""Where the plugin says what went wrong."""

import logging

logger = logging.getLogger("livekit.plugins.deepfake_monitor")
