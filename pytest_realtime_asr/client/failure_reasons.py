"""The messages that say why no connection could be opened, and what to do."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from pytest_realtime_asr.client.target import Target

NO_SERVER = "no server was there"
LOCAL_ERRORS = (  # errors caused by this machine
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.EADDRNOTAVAIL,
)
_EXPIRED = (9, 10)  # OpenSSL: the certificate is not yet, or no longer, valid
_PLAIN_HTTP = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_NO_CERTIFICATE = ("SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_UNKNOWN_CA")
_ALSO_PATH = "(some servers also send this status if the path is wrong)"


def explain(status: int, target: Target, key_source: str) -> str:
    """Return what an HTTP status means for a realtime session, and what to do."""
    match status:
        case 401 | 403 if key_source:
            what = (
                f"the server refused the key from {key_source}; is the key valid for "
                f"this server? {_ALSO_PATH}"
            )
        case 401 | 403:
            what = (
                "no API key was sent: set REALTIME_API_KEY, or name another variable "
                f"with --realtime-api-key-env; {_ALSO_PATH}"
            )
        case 404 if not target.has_usual_path:
            what = (
                "not found; is the path right, and is the model a realtime model? This "
                f"dialect has the path {target.path}; to use this path, give the "
                f"target as {target.origin}"
            )
        case 404:
            what = (
                "not found; is the path right (--realtime-dialect chooses it), and is "
                "the model a realtime model?"
            )
        case 301 | 302 | 303 | 307 | 308:
            what = "redirects are not followed; give the final URL as the target"
        case 429:
            what = "rate limited by the server; try again later"
        case 502 | 503:
            what = "still loading, or overloaded; wait with --realtime-wait=SECONDS"
        case _:
            what = "server error" if status >= 500 else "the server refused the request"
    return f"HTTP {status}: {what}"


def untrusted(error: ssl.SSLCertVerificationError) -> str:
    """Return why a certificate cannot be verified, and what to do."""
    if error.verify_code in _EXPIRED:
        return (
            f"the certificate cannot be verified: {error.verify_message}; renew the "
            "certificate, check the clock of this machine, or use "
            "--realtime-insecure (unsafe)"
        )
    return (
        f"the certificate cannot be verified: {error.verify_message}; to accept it, "
        "use --realtime-ca=FILE (the CA that issued it), --realtime-server-name=HOST "
        "(the host name in it), or --realtime-insecure (unsafe)"
    )


def over_limit(size: int) -> str:
    """Return the end of a message about data of more than ``size`` bytes."""
    unit, name = next(
        (unit, name)
        for unit, name in ((2**20, "MiB"), (2**10, "KiB"), (1, "bytes"))
        if size % unit == 0
    )
    return (
        f"larger than the client's limit of {size // unit} {name}; raise this limit "
        "with --realtime-max-message=SIZE"
    )


def unreachable(error: OSError) -> str:
    """Return why no connection could be opened, and what to check."""
    if isinstance(error, socket.gaierror):
        return (
            f"{NO_SERVER}: cannot resolve the host name: {error.strerror}; "
            "check the spelling of the host name"
        )
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error)
    if isinstance(error, ConnectionResetError):
        return (
            "the server reset the connection; is the server overloaded, does the "
            "scheme match the server (wss or https if it uses TLS, otherwise ws or "
            "http), and does the server require a client certificate "
            "(--realtime-client-cert)?"
        )
    if isinstance(error, ConnectionRefusedError):
        return (
            f"{NO_SERVER}: {os.strerror(errno.ECONNREFUSED)}; is the server "
            "running, and are its host and port right?"
        )
    reason = error.strerror or str(error)
    if error.errno:
        reason = os.strerror(error.errno)  # asyncio says "Connect call failed"
    if error.errno in LOCAL_ERRORS:
        return (
            f"cannot connect: {reason}; this is a limit of this machine, not of the "
            "server: run fewer sessions at a time, or raise the limit (ulimit -n)"
        )
    return f"cannot connect: {reason}; is the server running there?"


def _tls_failure(error: ssl.SSLError) -> str:
    """Return why a TLS handshake failed, and what to do."""
    name = getattr(error, "reason", None) or str(error)
    what = f"the TLS handshake failed ({name})"
    if any(each in name for each in _PLAIN_HTTP):
        return f"{what}; the server does not use TLS on this port: use http or ws"
    if "CERTIFICATE" in name or name in _NO_CERTIFICATE:
        return (
            f"{what}; the server may require a client certificate: use "
            "--realtime-client-cert=FILE, with a certificate that the server trusts"
        )
    return (
        f"{what}; the server and this machine may have no TLS version or cipher in "
        "common"
    )
