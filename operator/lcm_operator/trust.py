"""TLS contexts: every one of the product is made here.

OpenSSL verifies chain, names, dates and basic constraints. Python 3.13 adds VERIFY_X509_STRICT, which rejects
authorities without key identifiers, as clusters and companies have them. It is switched off, so that
certificates that kubectl and curl accept are accepted here (ADR 0043). Nothing else may be
relaxed, but for `unverifying_context`.
"""

import ssl
from pathlib import Path


def client_context(cafile: Path | None = None, cadata: str | None = None) -> ssl.SSLContext:
    """Return the trust in the authorities of a file or a PEM text; without either, in the system's.

    The system's are those of SSL_CERT_FILE, if that is set. Raises OSError (as ssl.SSLError is), ValueError.
    """
    if cadata is not None and not cadata.strip():  # the library would trust the system's instead
        raise ValueError("no certificates")
    return _usual(ssl.create_default_context(cafile=cafile, cadata=cadata))


def unverifying_context() -> ssl.SSLContext:
    """Return the context of a client that trusts any server: only where a kubeconfig asks for it."""
    context = client_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def client_verifying_context(cafile: Path) -> ssl.SSLContext:
    """Return the trust of a server that requires a certificate of its clients. Raises OSError."""
    context = _usual(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=cafile))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def server_context() -> ssl.SSLContext:
    """Return the context of a server that asks its clients for no certificate."""
    return _usual(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))


def _usual(context: ssl.SSLContext) -> ssl.SSLContext:
    """Accept each certificate of the bundle as an anchor, as Python 3.13 does, without its strictness.

    The lowest version of TLS is the library's default in some builds, so it is set.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
