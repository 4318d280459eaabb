"""Whose certificates a pulled source may show."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep the system's certificates in one file."""
_OTHER_NAME = frozenset({62, 64})
"""OpenSSL's verification results for a certificate of another host name or address."""
_EXPIRED = 10


@dataclass(frozen=True, slots=True)
class Trust:
    """What makes a TLS server believable: its certificate's issuer, dates and host name."""

    verify: bool = True
    """Without it anybody on the way can pose as the server."""
    ca_file: Path | None = None
    """Certificates in PEM to trust in place of the system's."""
    setting: str = "tls"
    """The settings table that these come from; named in errors."""

    def context(self) -> ssl.SSLContext:
        """Return the rules for Python's TLS; raises ValueError naming the setting at fault."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(
                f"{self.setting}.tls_ca_file: {self.ca_file}: not a file of certificates"
            ) from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def options(self) -> dict[str, str]:
        """Return the rules for FFmpeg's TLS; raises ValueError naming the setting at fault.

        Its own default is to verify nothing, and where its build looks for the system's
        certificates there may be none.
        """
        if not self.verify:
            return {"tls_verify": "0"}
        self.context()
        default = ssl.get_default_verify_paths().cafile
        known = [self.ca_file] if self.ca_file else [default, *_BUNDLES]
        bundle = next((path for path in known if path and Path(path).is_file()), None)
        if bundle is None:
            raise ValueError(
                f"{self.setting}.tls_ca_file: needed, for the system keeps no file of certificates"
            )
        return {"tls_verify": "1", "ca_file": str(bundle)}

    def fault(self, host: str, port: int, timeout: float) -> str:
        """Shake hands and return what is wrong with the server's TLS in words, or nothing.

        FFmpeg says no more than that something failed. Blocks, `timeout` seconds for each step.
        """
        try:
            with (
                socket.create_connection((host, port), timeout) as connection,
                self.context().wrap_socket(connection, server_hostname=host),
            ):
                return ""
        except ssl.SSLError as error:
            return self.explain(error, host)
        except OSError:
            return ""

    def explain(self, error: ssl.SSLError, host: str) -> str:
        """Say in words what Python's TLS found wrong with a host, and which setting decides."""
        if not isinstance(error, ssl.SSLCertVerificationError):
            return f"the TLS handshake failed ({error.reason or 'no reason given'})"
        if error.verify_code in _OTHER_NAME:
            return f"the certificate is not for {host} ({self.setting}.tls_verify)"
        if error.verify_code == _EXPIRED:
            return f"the certificate has expired ({self.setting}.tls_verify)"
        return f"the certificate's issuer is not trusted ({self.setting}.tls_ca_file)"
