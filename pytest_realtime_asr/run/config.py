"""The configuration of the servers and sessions of a run, as plain values."""

from __future__ import annotations

import base64
import math
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.client.plan import Limits
from pytest_realtime_asr.load.executors import HERE, Place
from pytest_realtime_asr.load.server_metrics import Gauge
from pytest_realtime_asr.requirements.known_failures import Known
from pytest_realtime_asr.requirements.pinned_suites import PinnedSuite
from pytest_realtime_asr.requirements.requirement import Harm
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.text.redaction import Redactor

_OPENING = 10.0  # s for the connection, and again for the first event
_SECRET_NAME = re.compile("auth|cookie|key|token|secret", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The settings by which TLS connections are verified.

    ``server_name`` is the name that the server's certificate must contain. If it is
    ``None``, the certificate must contain the host name of the target. ``insecure``
    turns the verification off.
    """

    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    server_name: str | None = None
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """Return the TLS context of the client.

        Raises `InputError` if a certificate cannot be loaded.
        """
        named = self.ca
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.client_cert is not None:
                named = self.client_cert
                load_client_certificate(context, self.client_cert, self.client_key)
        except (OSError, ssl.SSLError) as error:
            raise InputError(f"cannot load the certificate {named}: {error}") from error
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def load_client_certificate(
    context: ssl.SSLContext, certificate: Path, key: Path | None
) -> None:
    """Load a client certificate into ``context``; its key must have no password.

    Raises OSError if the certificate or the key cannot be loaded.
    """
    # If no password is given, OpenSSL asks for one at the terminal.
    context.load_cert_chain(certificate, key, password="")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The settings by which the servers of a run are reached, probed and warmed up.

    ``wait`` is the time in seconds to wait for a server that is still loading, and
    ``recover`` is the time in seconds to wait for a server whose sessions failed.
    ``max_message`` is the largest size of a message in bytes. ``warmup`` is the number
    of warm-up sessions; if it is ``None``, as many are run as the server needs.
    ``version`` replaces the version that the server reports.

    ``key`` and the values of ``headers`` are secret, and the URL of a ``proxy`` may
    contain a password. ``key_command`` has the words of a command that prints the key;
    this key is used in place of ``key``. ``key_source`` is the name of the option or
    environment variable that has the key, "" if there is no key.

    ``metrics_url`` is the URL of the server's own metrics; if it is ``None``, the
    metrics are at ``/metrics``. ``metrics_names`` replace the names that the dialect
    states for these metrics.
    """

    key: str = field(default="", repr=False)
    key_command: tuple[str, ...] = field(default=(), repr=False)
    key_source: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: TlsConfig = TlsConfig()
    proxy: str | None = field(default=None, repr=False)
    max_message: int = 2**20
    wait: float = 0.0
    recover: float = 60.0
    warmup: int | None = None
    version: str = ""
    metrics_url: str | None = None
    metrics_names: Mapping[Gauge, str] = field(default_factory=dict)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that no record and no report may contain.

        In a header that authenticates the client, each part of the value is a secret by
        itself.
        """
        parts = [
            part
            for name, value in self.headers.items()
            if is_secret(name)
            for part in _parts(value)
        ]
        return (self.key, *self.headers.values(), *parts)


def is_secret(header: str) -> bool:
    """Return whether the name of a header suggests that its value is a secret."""
    return _SECRET_NAME.search(header) is not None


def _parts(value: str) -> list[str]:
    """Return the parts of a value such as ``Bearer TOKEN`` in a header.

    The value is split at spaces, commas and semicolons, and after equals signs. A
    ``Basic`` header also has two decoded parts: ``user:password``, and the password.
    """
    found = re.split(r"[\s;,]+|(?<==)(?!=)", value)
    scheme, _, code = value.partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            pair = base64.b64decode(code, validate=True).decode("latin-1")
            found += [pair, pair.partition(":")[2]]
    return found


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """The settings of sessions, used if no marker sets other values.

    ``dialect`` is the name of a dialect with its profile, or `AUTO` to detect the
    dialect. ``chunk`` and the idle ``timeout`` are in seconds. ``pace`` is in seconds
    of audio per second; 0 sends the audio as fast as the socket accepts.
    """

    dialect: str = AUTO
    model: str = ""
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    pace: float = 1.0
    chunk: float = 0.1
    timeout: float = 30.0


def time_limits(timeout: float, *, most: float = math.inf, wait: float = 0.0) -> Limits:
    """Return the time limits of a session.

    ``timeout`` is the idle timeout in seconds. ``wait`` is the time in seconds that a
    server may take to start; the session waits at least this long for the connection,
    the first event and the final. ``most`` is an upper limit in seconds for the idle
    timeout, and for the time that the session may take beyond its audio. ``most`` does
    not shorten the waits for the connection and the first event.
    """
    return Limits(
        connect=max(_OPENING, wait),
        ready=max(_OPENING, wait),
        silence=min(max(timeout, wait), most),
        beyond=min(max(60.0, 2 * timeout, wait), most),
    )


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """The settings of tests that put a server under load.

    ``allow`` has the values of ``--realtime-allow``: the kinds of harm that a load may
    do to a server on another machine. A level is aborted when the share of lost
    sessions is above ``most_errors``. ``place`` says where the streams run: in
    processes of this machine or on a Dask cluster. ``every_trace`` is true if the
    traces of all sessions are kept.
    """

    allow: frozenset[Harm] = frozenset()
    most_errors: float = 0.2
    place: Place = HERE
    every_trace: bool = False


@dataclass(frozen=True, slots=True)
class MeasurementConfig:
    """The configuration of a run.

    ``pinned`` is the pinned suite by which servers are judged; ``None`` means the
    newest requirements. ``known`` are the known failures of the servers. If
    ``parallel`` is true, sessions of different xdist workers may overlap. If
    ``private`` is true, no texts are reported. ``language`` is the language tag for
    utterances that state no language. ``max_audio`` is the largest length in s of the
    audio that the run sends; ``None`` for no limit. ``load`` is the configuration of
    tests under load.
    """

    server: ServerConfig = ServerConfig()
    session: SessionConfig = SessionConfig()
    pinned: PinnedSuite | None = None
    known: tuple[Known, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    parallel: bool = False
    private: bool = False
    language: str = ""
    max_audio: float | None = None
    load: LoadConfig = LoadConfig()

    @property
    def redactor(self) -> Redactor:
        """The redactor for the secrets of this configuration."""
        return Redactor(self.server.secrets, private=self.private)
