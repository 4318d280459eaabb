"""Takes the monitor's alerts: checks each signature and drops what it has seen before.

    pip install standardwebhooks
    MONITOR_WEBHOOK_SECRET=whsec_... python webhook_receiver.py 8090

The monitor's settings name it in [[webhooks]]: name, url and secret (docs/delivery.md).
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

signature = Webhook(os.environ["MONITOR_WEBHOOK_SECRET"])
seen: set[str] = set()


class Alerts(BaseHTTPRequestHandler):
    """One POST an alert; any 2xx means taken."""

    def do_POST(self) -> None:
        """Answer 204 to what is genuine, 401 to anything else."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            event = signature.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(401)
            self.end_headers()
            return
        if event["id"] not in seen:
            seen.add(event["id"])
            alert = event["data"]
            print(
                alert["call"], alert["participant"], alert["tier"], alert["action"], alert["advice"]
            )
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Alerts)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
