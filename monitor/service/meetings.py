"""Settings → the endpoint for meetings that a platform tells of."""

from dataclasses import replace

from fastapi import APIRouter

from monitor.calls.registry import Registry
from monitor.ingest.connection.hosts import Hosts
from monitor.ingest.connection.trust import Trust
from monitor.ingest.meetings.rtms import RtmsOptions, RtmsSource
from monitor.ingest.meetings.rtms_messages import Credentials, Stream, Wanted
from monitor.ingest.telephony.participant import Looking
from monitor.settings import Settings, SettingsError
from monitor.web.streams import zoom_webhook


def zoom_routes(settings: Settings, registry: Registry) -> APIRouter:
    """Return where Zoom's webhooks go, nothing unless configured; raises SettingsError."""
    chosen, video = settings.zoom, settings.video
    if chosen.client_secret is None or chosen.secret_token is None:
        return APIRouter()
    trust = Trust(True, chosen.tls_ca_file, "zoom")
    try:
        trust.context()
    except ValueError as error:
        raise SettingsError(str(error)) from error
    options = RtmsOptions(
        Credentials(chosen.client_id, chosen.client_secret.get_secret_value()),
        Hosts(chosen.hosts),
        Wanted(chosen.codec, "" if chosen.video == "off" else chosen.video, chosen.fps),
        trust,
        chosen.open_timeout,
        chosen.quiet_timeout,
    )
    options = replace(options, retry=replace(options.retry, give_up_after=chosen.give_up_after))
    looking = Looking(video.sampling, video.width)

    def open_source(stream: Stream) -> RtmsSource:
        return RtmsSource(stream, options, registry.anomaly, looking)

    gate = zoom_webhook.ZoomGate(chosen.secret_token.get_secret_value())
    return zoom_webhook.router(registry, gate, open_source)
