"""A certificate authority for tests."""

import ssl
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


SERVER = "server.pem"  # where the key and the certificate of the server made last are


class Authority:
    """Signs certificates of servers on loopback; `trusted` is for clients that believe it."""

    def __init__(self, folder: Path, *, now: datetime) -> None:
        self._folder = folder
        self._now = now
        self._key = generate_private_key(SECP256R1())
        self._certificate = (
            _builder(_name("Authority"), _name("Authority"), self._key, now - 9 * _DAY, now + 99 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(_SIGNS, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.pem)

    @property
    def pem(self) -> str:
        """The authority's own certificate, for clients that want it as text."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def server(
        self,
        *,
        starts: datetime | None = None,
        ends: datetime | None = None,
        address: str = "127.0.0.1",
        names: tuple[str, ...] = (),
        self_signed: bool = False,
    ) -> ssl.SSLContext:
        key = generate_private_key(SECP256R1())
        issuer_key = key if self_signed else self._key
        issuer = _name("Server" if self_signed else "Authority")
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        certificate = (
            _builder(_name("Server"), issuer, key, starts or self._now - _DAY, ends or self._now + 30 * _DAY)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.IPAddress(ip_address(address)), *(x509.DNSName(name) for name in names)]
                ),
                critical=False,
            )
            .add_extension(issuer_id, critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        path = self._folder / SERVER
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, starts: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
    )
