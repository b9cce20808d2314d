"""The certificate of the server: two files that are read again when they change, without a restart.

A pair that cannot be used, such as one that is half written, is logged once, and the last good one stays.
"""

import ssl
from pathlib import Path

from lcm_operator import logs, trust

log = logs.get(__name__)
Mark = tuple[int, int, int, int] | None


class BadCertificateError(Exception):
    """The files cannot be used; the text names the one at fault."""


class ServerCertificate:
    """Certificate chain and private key in PEM. `context` is for the listener."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the files. Raises BadCertificateError."""
        self._files = certificate, key
        self._seen = self._marks()
        self._current = _pair(certificate, key)
        self.context = _pair(certificate, key)
        self.context.sni_callback = self._select

    def _select(self, handshake: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        """Give a connection the current pair. OpenSSL calls it in each handshake, with or without a name."""
        self._refresh()
        handshake.context = self._current

    def _refresh(self) -> None:
        marks = self._marks()
        if marks == self._seen:
            return
        self._seen = marks  # a bad pair is reported once, not for every connection
        try:
            self._current = _pair(*self._files)
        except BadCertificateError as error:
            log.error("cannot use the TLS certificate; keeping the last one", error=error)  # noqa: TRY400 - a traceback adds nothing
        else:
            log.info("TLS certificate read", file=self._files[0])

    def _marks(self) -> tuple[Mark, ...]:
        return tuple(_mark(file) for file in self._files)


def _pair(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context with the pair. Raises BadCertificateError."""
    for file in (certificate, key):
        try:
            file.read_bytes()
        except OSError as error:
            raise BadCertificateError(f"cannot read {file}: {error.strerror}") from error
    try:
        trust.client_context(cafile=certificate)
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificateError(f"{certificate} contains no certificate in PEM") from error
    context = trust.server_context()
    try:
        # Without a password OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadCertificateError(f"the key in {key} does not belong to {certificate}") from error
        if error.reason:
            raise BadCertificateError(f"{certificate} and {key} cannot be used: {error.reason}") from error
        raise BadCertificateError(f"{key} contains no private key in PEM without a password") from error
    return context


def _mark(file: Path) -> Mark:
    """Return a fingerprint of the file, None if it is missing."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
