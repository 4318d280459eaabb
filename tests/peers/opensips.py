"""A border controller that records: OpenSIPS with its siprec module, media through rtpengine.

OpenSIPS is no Debian package: build a copy of its repository (3.6 was tried) with these MODULES.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.e2e.rig.process import Process, free_port

MODULES = (
    "signaling", "sl", "tm", "rr", "maxfwd", "sipmsgops", "dialog", "b2b_entities", "rtpengine",
    "rtp_relay", "siprec",
)  # fmt: skip

# One worker, and UDP: an answer that another takes in before the request's worker has noted what it
# sent is lost to its siprec module (three calls of eight over TCP), and ours comes within 1 ms.
_CONFIG = """
log_level=3
stderror_enabled=yes
syslog_enabled=no
udp_workers=1
socket=udp:127.0.0.1:{port}
mpath="{copy}/modules/"
{modules}
loadmodule "proto_udp.so"
modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:{control}")
route {{
    if (has_totag()) {{
        if (is_method("ACK") && t_check_trans()) {{
            t_relay();
            exit;
        }}
        if (!loose_route()) {{
            send_reply(404, "Not here");
            exit;
        }}
        if (is_method("INVITE")) {{
            if (is_audio_on_hold())
                siprec_pause_recording();
            else
                siprec_resume_recording();
        }}
        t_relay();
        exit;
    }}
    if (is_method("INVITE")) {{
        record_route();
        create_dialog();
        rtp_relay_engage("rtpengine");
        siprec_start_recording("sip:srs@127.0.0.1:{recorder}");
    }}
    $du = "sip:127.0.0.1:{callee}";
    t_relay();
}}
"""


class BorderController:
    """Stands between two telephones and has their calls recorded."""

    def __init__(self, copy: Path, folder: Path, recorder: int, callee: int) -> None:
        """`recorder` and `callee` are ports of this machine."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._control = free_port()
        config = folder / "opensips.cfg"
        config.write_text(_CONFIG.format(
            port=self.port, control=self._control, copy=copy, recorder=recorder, callee=callee,
            modules="\n".join(f'loadmodule "{name}/{name}.so"' for name in MODULES),
        ))  # fmt: skip
        self._relay = Process(
            ["rtpengine", "--foreground", "--log-stderr", "--interface=127.0.0.1", "--table=-1",
             f"--listen-ng=127.0.0.1:{self._control}", "--port-min=42000", "--port-max=42100"],
            folder / "rtpengine.log",
        )  # fmt: skip
        command = [str(copy / "opensips"), "-F", "-f", str(config), "-w", str(folder)]
        self._proxy = Process(command, folder / "opensips.log")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        relay = self._stack.enter_context(self._relay)
        relay.wait_ready(lambda: "Startup complete" in relay.said())
        proxy = self._stack.enter_context(self._proxy)
        proxy.wait_ready(lambda: "Listening on" in proxy.said())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def said(self) -> str:
        """What both logged."""
        return self._proxy.said()[-3000:] + self._relay.said()[-3000:]
