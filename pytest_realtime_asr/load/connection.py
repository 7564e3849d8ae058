"""Plans of sessions in a form that can be sent to another process."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.target import Target
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.load.executor import Connection
from pytest_realtime_asr.text.redaction import Redactor


def connection(
    plan: Plan,
    *,
    ca: str = "",
    certificate: str = "",
    key: str = "",
    insecure: bool = False,
) -> Connection:
    """Return the `Connection` of a plan; it can be sent to another process.

    A TLS context cannot be sent, so ``ca``, ``certificate`` and ``key`` are the
    contents of its files in PEM. ``insecure`` turns off the check of the server's
    certificate. If a command prints the API key, the key that it has printed is sent; a
    worker does not run the command again.
    """
    access = plan.access
    return Connection(
        dialect=plan.dialect.name,
        target=access.target.websocket,
        http=access.target.http,
        model=plan.model,
        options=dict(plan.options),
        headers=dict(access.headers),
        secrets=plan.redactor.secrets,
        private=plan.redactor.private,
        ca=ca,
        certificate=certificate,
        key=key,
        insecure=insecure,
        server_name=access.server_name,
        proxy=access.proxy,
        max_message=access.max_message,
        chunk=plan.chunk,
        limits=plan.limits,
        rules=tuple(each.id for each in plan.rules),
        version=plan.version,
    )


def plan(connection: Connection) -> Plan:
    """Return the plan of sessions that use a connection and send audio in real time.

    Raises LookupError if the dialect is not installed in this process.
    """
    dialect = dialects.load(connection.dialect)
    wanted = set(connection.rules)
    target = Target(connection.target, connection.http, dialect.path)
    return Plan(
        dialect=dialect,
        access=Access(
            target,
            headers=connection.headers,
            tls=_tls(connection) if target.secure else None,
            server_name=connection.server_name,
            proxy=connection.proxy,
            max_message=connection.max_message,
        ),
        model=connection.model,
        options=connection.options,
        chunk=connection.chunk,
        limits=connection.limits,
        redactor=Redactor(connection.secrets, private=connection.private),
        rules=tuple(each for each in dialect.requirements if each.id in wanted),
        version=connection.version,
    )


def _tls(connection: Connection) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=connection.ca or None)
    if connection.certificate:
        _load_certificate(context, connection.certificate, connection.key)
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # OpenSSL reads a certificate and its key from files only. The folder is private to
    # the user and is removed at once.
    with tempfile.TemporaryDirectory(prefix="pytest-realtime-asr-") as folder:
        path = Path(folder) / "client.pem"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"{certificate}\n{key}")
        context.load_cert_chain(path, password="")
