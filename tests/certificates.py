"""Certificates that nobody but a test trusts."""

import datetime
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Issuer:
    """Signs certificates; `path` holds its own, for those who trust it."""

    path: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, folder: Path, name: str) -> "Issuer":
        """An issuer that nobody knows yet."""
        key, who = ec.generate_private_key(ec.SECP256R1()), _named(name)
        made = _made(who, key, who, key, [], authority=True)
        path = folder / f"{name}.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return cls(path, who, key)


def certificate(
    folder: Path,
    *names: str,
    issuer: Issuer | None = None,
    expired: bool = False,
) -> Path:
    """A key and a certificate for hosts or addresses in one file; self-signed without issuer."""
    key, who = ec.generate_private_key(ec.SECP256R1()), _named(names[0])
    alternatives: list[x509.GeneralName] = [
        x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        for name in names
    ]
    if issuer is None:
        made = _made(who, key, who, key, alternatives, authority=True)
    else:
        made = _made(who, key, issuer.name, issuer.key, alternatives, expired=expired)
    path = folder / f"{names[0]}{'.expired' if expired else ''}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _made(
    who: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    alternatives: list[x509.GeneralName],
    authority: bool = False,
    expired: bool = False,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * day if expired else now - day)
        .not_valid_after(now - day if expired else now + day)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(signer, hashes.SHA256())
