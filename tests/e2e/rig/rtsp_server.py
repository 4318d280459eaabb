"""An RTSP server for Debian's own Python: `/usr/bin/python3 rtsp_server.py CONFIG.json`.

Not imported by the rig (GStreamer's bindings live outside the virtual environment); rtsp.py
starts it. CONFIG: {"host", "port", "user", "password", "certificate", "mounts": [{"name",
"path", "video", "audio"}]}, files in Matroska. Prints `ready` when it listens, and a line for
each client's play. Media are not shared: each client gets a pipeline of its own, so the file
from its start.
"""

import json
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer

VIDEO = {
    "h264": "h264parse ! rtph264pay config-interval=-1",
    "h265": "h265parse ! rtph265pay config-interval=-1",
    "vp8": "rtpvp8pay",
}
AUDIO = {
    "aac": ("aacparse ! rtpmp4gpay", 97),
    "opus": ("rtpopuspay", 97),
    "pcmu": ("rtppcmupay", 0),
}


def launch_line(mount: dict) -> str:
    """The pipeline that sends this file's encoded tracks as they are."""
    path = mount["path"].replace('"', '\\"')
    parts = [f'filesrc location="{path}" ! matroskademux name=d']
    tracks = 0
    if mount["video"]:
        parts.append(f"d.video_0 ! queue ! {VIDEO[mount['video']]} name=pay{tracks} pt=96")
        tracks += 1
    if mount["audio"]:
        chain, payload_type = AUDIO[mount["audio"]]
        parts.append(f"d.audio_0 ! queue ! {chain} name=pay{tracks} pt={payload_type}")
    return f"( {' '.join(parts)} )"


def authentication(config: dict) -> GstRtspServer.RTSPAuth:
    """Only the user may look, by digest, or anybody if there is none; TLS with a certificate."""
    auth = GstRtspServer.RTSPAuth.new()
    token = GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", "viewer")
    if config["user"]:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(config["user"], config["password"], token)
    else:
        auth.set_default_token(token)
    if config["certificate"]:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(config["certificate"]))
    return auth


def main() -> None:
    """Serve until a signal ends the process."""
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address(config["host"])
    server.set_service(str(config["port"]))
    guarded = config["user"] or config["certificate"]
    if guarded:
        server.set_auth(authentication(config))
    for mount in config["mounts"]:
        factory = GstRtspServer.RTSPMediaFactory.new()
        factory.set_launch(launch_line(mount))
        factory.set_shared(False)
        factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP)
        if guarded:
            permissions = GstRtspServer.RTSPPermissions.new()
            permissions.add_permission_for_role("viewer", "media.factory.access", True)
            permissions.add_permission_for_role("viewer", "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(f"/{mount['name']}", factory)

    def on_client(_server: object, client: GstRtspServer.RTSPClient) -> None:
        client.connect("play-request", lambda _c, ctx: print(f"play {ctx.uri.abspath}", flush=True))

    server.connect("client-connected", on_client)
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on {config['host']}:{config['port']}")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
