"""The diagnosis of a target: what a server shows before audio is sent to it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.contact import PINGS, Contact
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.run.diagnosis import Diagnosis, diagnose
from tests.support.runs import Site, Start, options
from tests.support.servers import CREATED, closed, faking, plain, serving

AUTO = options(dialect="auto")


async def greet(connection: ServerConnection) -> None:
    await connection.send(CREATED)
    await connection.wait_closed()


def failed(found: Diagnosis, step: str, *words: str) -> None:
    """Check that a step has failed for a reason with these words."""
    error = getattr(found, step)
    assert isinstance(error, Unreachable)
    assert all(word in str(error) for word in words), error
    assert not found.testable


def test_a_correct_server(start: Start) -> None:
    site = Site(version="0.33.0")
    with serving(greet, answer=site) as url:
        found = diagnose(start(AUTO), url)
    assert found.testable
    assert (found.dialect, found.first) == ("vllm", "session.created")
    assert "session.created" in found.found
    assert (found.models, found.model, found.version) == (("fake",), "fake", "0.33.0")
    assert isinstance(found.contact, Contact)
    assert len(found.contact.round_trips) == PINGS
    assert found.contact.encryption is None
    asked = {path.partition("?")[0] for path in site.asked}
    assert asked == {"/health", "/v1/models", "/version", "/v1/realtime"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openai", "openai-beta"])
def test_each_dialect_is_named(start: Start, name: str) -> None:
    with faking(dialect=dialects.load(name), models=("a", "b")) as (url, _):
        found = diagnose(start(AUTO), url)
    assert (found.dialect, found.models, found.model) == (name, ("a", "b"), "a")


def test_nobody_listens(start: Start) -> None:
    with closed() as port:
        found = diagnose(start(AUTO), f"127.0.0.1:{port}")
    failed(found, "health", "no server was there: Connection refused")
    assert found.dialect is found.contact is found.model is None


@pytest.mark.parametrize("dialect", ["auto", "vllm"])
def test_a_key_that_is_refused(start: Start, dialect: str) -> None:
    given = {"REALTIME_API_KEY": "not-this-key"}
    with faking(key="another-key") as (url, _):
        found = diagnose(start(options(given, dialect=dialect)), url)
    step = "dialect" if dialect == "auto" else "contact"
    failed(found, step, "HTTP 401", "REALTIME_API_KEY")
    failed(found, "models", "HTTP 401")
    assert found.model is None


def test_a_server_that_speaks_another_dialect(start: Start) -> None:
    with faking(dialect=dialects.load("openai")) as (url, _):
        found = diagnose(start(options(dialect="vllm")), url)
    failed(found, "contact", "the dialect vllm begins with another event", "=openai")


@pytest.mark.parametrize("dialect", ["auto", "vllm"])
def test_a_server_that_says_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    monkeypatch.setattr(probe, "GREETING", 0.1)
    with serving(answer=Site()) as url:
        found = diagnose(start(options(dialect=dialect)), url)
    step = "dialect" if dialect == "auto" else "contact"
    failed(found, step, "sent nothing within 0.1 s", "--realtime-wait")


def test_a_server_without_a_list_of_models(start: Start) -> None:
    def answer(request: Request) -> Response | None:
        return None if request.path == "/v1/realtime" else plain(404)

    with serving(greet, answer=answer) as url:
        found = diagnose(start(AUTO), url)
        named = diagnose(start(options(dialect="auto", model="mine")), url)
    failed(found, "model", "/v1/models: not found", "--realtime-model")
    assert (named.model, named.testable) == ("mine", True)
    assert isinstance(named.models, Unreachable)


def test_the_certificate_of_the_server(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(greet, answer=Site(), tls=context) as url:
        trusted = diagnose(start(options(ca=str(tmp_path / "ca.pem"))), url)
        unverified = diagnose(start(options(insecure="true")), url)
        unknown = diagnose(start(AUTO), url)
    for found in (trusted, unverified):
        assert isinstance(found.contact, Contact)
        assert found.contact.encryption is not None
        assert found.contact.encryption.version.startswith("TLSv1")
        known = "notAfter" in found.contact.encryption.certificate
        assert known == (found is trusted)
    failed(unknown, "health", "certificate")
