"""Settings → the sources that calls are pulled from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from monitor.ingest.connection.location import SCHEMES, WHEP, located
from monitor.ingest.connection.retry import RetryOptions
from monitor.ingest.connection.trust import Trust
from monitor.ingest.pull.rtsp_source import RtspOptions, RtspSource
from monitor.ingest.recording.file_source import FileSource
from monitor.ingest.rtp.rtp_source import RtpOptions, RtpSource
from monitor.ingest.rtp.sdp import DescriptionError, read_description
from monitor.ingest.webrtc.whep_source import WhepOptions, WhepSource
from monitor.ingest.webrtc.whip_source import WebRtcOptions
from monitor.service import extensions
from monitor.settings import Settings, SettingsError
from monitor.settings.media import Pull
from monitor.types import ChannelChoice
from monitor.types.protocols import Source


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", hide_input_in_errors=True))
class Wanted:
    """A stream to pull; None leaves a choice to the settings.

    What settings, the API and a cluster's leases say of it, which may be of another release: a
    field that is unknown or misshapen raises a ValueError that names it, and no value.
    """

    uri: str = ""
    sdp: str = ""
    """In place of `uri`: the text of a description of RTP that is sent here."""
    participant: str = "remote"
    label: str = ""
    """Of the call."""
    token: str = ""
    transport: Literal["tcp", "udp"] | None = None
    open_timeout: float | None = None
    read_timeout: float | None = None
    give_up_after: float | None = None
    tls_verify: bool | None = None
    tls_ca_file: Path | None = None
    persistent: bool = False
    """Whether it is tried for ever, unless `give_up_after` is set, and from the start on."""


def open_file(
    settings: Settings,
    path: Path,
    participant: str,
    progress: Callable[[float, float], None] | None = None,
    channels: ChannelChoice = ChannelChoice.MIX,
) -> FileSource:
    """Make the source that replays a recording."""
    video = settings.video
    return FileSource(path, participant, video.sampling, video.width, progress, channels)


def open_pull(settings: Settings, wanted: Wanted) -> Source:
    """Make the source that pulls a stream; raises ValueError for what names none."""
    if wanted.sdp:
        return _open_rtp(settings, wanted)
    scheme = wanted.uri.partition(":")[0].lower()
    if scheme in settings.extensions.sources:
        try:
            return extensions.source(scheme, wanted.uri, wanted.participant)
        except ValueError as error:
            raise ValueError(f"uri: {error}") from error
    try:
        scheme = located(wanted.uri).scheme
    except ValueError as error:
        raise ValueError(f"uri: {error}") from None
    return _OPENERS[scheme](settings, wanted)


def is_stream(name: str) -> bool:
    """Whether this is the URL of a stream and not the name of a file."""
    scheme, colon, _ = name.partition("://")
    return bool(colon) and scheme.lower() in SCHEMES


def webrtc(settings: Settings) -> WebRtcOptions:
    """Return how WebRTC media is received."""
    # The settings table has the fields of the options, one for one.
    return WebRtcOptions(**settings.webrtc.model_dump())


def configured(settings: Settings, pull: Pull) -> Source:
    """Make a source of the settings file; raises SettingsError for one that cannot be."""
    try:
        sdp = pull.sdp_file.read_text() if pull.sdp_file is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"sources: sdp_file: {pull.sdp_file}: cannot be read") from error
    wanted = Wanted(
        uri=pull.uri.get_secret_value(),
        sdp=sdp,
        participant=pull.participant,
        label=pull.label,
        token=pull.token.get_secret_value() if pull.token is not None else "",
        transport=pull.transport,
        open_timeout=pull.open_timeout,
        read_timeout=pull.read_timeout,
        give_up_after=pull.give_up_after,
        tls_verify=pull.tls_verify,
        tls_ca_file=pull.tls_ca_file,
        persistent=True,
    )
    try:
        return open_pull(settings, wanted)
    except ValueError as error:
        raise SettingsError(f"sources: {error}") from error


def check_trust(settings: Settings) -> None:
    """Raise SettingsError for certificates that cannot be read."""
    rtsp, whep = settings.rtsp, settings.whep
    trusts = [Trust(True, rtsp.tls_ca_file, "rtsp"), Trust(True, whep.tls_ca_file, "whep")]
    trusts += [Trust(True, pull.tls_ca_file, "sources") for pull in settings.sources]
    for trust in trusts:
        try:
            trust.context()
        except ValueError as error:
            raise SettingsError(str(error)) from error


def _open_rtsp(settings: Settings, wanted: Wanted) -> RtspSource:
    chosen = settings.rtsp
    options = RtspOptions(
        transport=wanted.transport or chosen.transport,
        open_timeout=wanted.open_timeout or chosen.open_timeout,
        read_timeout=wanted.read_timeout or chosen.read_timeout,
        trust=_trust("rtsp", wanted, chosen.tls_verify, chosen.tls_ca_file),
        retry=_retry(wanted, chosen.give_up_after),
    )
    video = settings.video
    return RtspSource(wanted.uri, wanted.participant, video.sampling, video.width, options)


def _open_whep(settings: Settings, wanted: Wanted) -> WhepSource:
    chosen, video = settings.whep, settings.video
    options = WhepOptions(
        request_timeout=wanted.open_timeout or chosen.open_timeout,
        trust=_trust("whep", wanted, chosen.tls_verify, chosen.tls_ca_file),
        retry=_retry(wanted, chosen.give_up_after),
        webrtc=webrtc(settings),
    )
    return WhepSource(
        wanted.uri, wanted.token, wanted.participant, video.sampling, video.width, options
    )


def _open_rtp(settings: Settings, wanted: Wanted) -> RtpSource:
    chosen, video = settings.rtp, settings.video
    options = RtpOptions(
        host=str(chosen.host),
        open_timeout=wanted.open_timeout or chosen.open_timeout,
        read_timeout=wanted.read_timeout or chosen.read_timeout,
        give_up_after=_retry(wanted, chosen.give_up_after).give_up_after,
    )
    try:
        description = read_description(wanted.sdp, chosen.ports)
    except DescriptionError as error:
        raise DescriptionError(f"sdp: {error}") from error
    return RtpSource(description, wanted.participant, video.sampling, video.width, options)


def _trust(setting: str, wanted: Wanted, verify: bool, ca_file: Path | None) -> Trust:
    if wanted.tls_verify is not None:
        verify = wanted.tls_verify
    if wanted.tls_ca_file is not None:
        return Trust(verify, wanted.tls_ca_file, "sources")
    return Trust(verify, ca_file, setting)


def _retry(wanted: Wanted, give_up_after: float) -> RetryOptions:
    if wanted.give_up_after is not None:
        give_up_after = wanted.give_up_after
    elif wanted.persistent:
        give_up_after = 0.0
    return RetryOptions(give_up_after=give_up_after, at_once=wanted.persistent)


_OPENERS: Mapping[str, Callable[[Settings, Wanted], Source]] = {
    "rtsp": _open_rtsp,
    "rtsps": _open_rtsp,
    **dict.fromkeys(WHEP, _open_whep),
}
"""By scheme: every one of SCHEMES."""
