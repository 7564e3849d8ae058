"""Connections: plans that cross to another process and back."""

from __future__ import annotations

import pickle
import ssl
from dataclasses import replace

import pytest
import trustme

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Limits, Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import run_utterance
from pytest_realtime_asr.load.connection import connection
from pytest_realtime_asr.load.connection import plan as planned
from pytest_realtime_asr.load.executor import Connection
from pytest_realtime_asr.text.redaction import Redactor
from tests.support.servers import CLIP, VLLM, faking, plan

SECRET = "a-very-secret-key"


def crossed(made: Plan, **files: str) -> Plan:
    """The plan that another process makes of a connection."""
    sent: Connection = pickle.loads(pickle.dumps(connection(made, **files)))  # type: ignore[arg-type]
    return planned(sent)


def test_another_process_gets_all_that_its_sessions_need() -> None:
    given = plan(
        f"http://127.0.0.1:1/v1?key={SECRET}",
        headers={"Authorization": f"Bearer {SECRET}"},
        options={"language": "en"},
        limits=Limits(1, 2, 3, 4),
        redactor=Redactor([SECRET], private=True),
        rules=VLLM.requirements[:3],
        version="0.33.0",
        pace=1.0,
    )
    found = crossed(given)
    for name in ("dialect", "model", "options", "chunk", "limits", "rules", "version"):
        assert getattr(found, name) == getattr(given, name), name
    assert found.access.target == given.access.target
    assert found.access.headers == given.access.headers
    assert found.redactor.private
    assert found.redactor.clean(f"the key {SECRET}") == "the key [removed]"


def test_another_process_gets_secrets_that_were_learned_later() -> None:
    redactor = Redactor([])
    redactor.learn(SECRET)
    found = crossed(plan("http://127.0.0.1:1", redactor=redactor))
    assert found.redactor.clean(SECRET) == "[removed]"


def test_another_process_gets_the_profile_with_its_dialect() -> None:
    profiled = dialects.load("openai:sglang")
    found = crossed(replace(plan("http://127.0.0.1:1"), dialect=profiled, rules=()))
    assert found.dialect.name == profiled.name


def test_sessions_are_paced_in_real_time_whatever_the_pace_of_the_plan() -> None:
    assert crossed(plan("http://127.0.0.1:1", pace=32.0)).pace == 1.0


def test_no_secret_is_shown() -> None:
    given = plan(f"http://h:1?key={SECRET}", headers={"Authorization": SECRET})
    shown = repr(connection(given, key="PRIVATE KEY", certificate="CERTIFICATE"))
    for secret in (SECRET, "PRIVATE KEY", "CERTIFICATE"):
        assert secret not in shown


def test_another_process_gets_the_contents_of_certificates(loop: Loop) -> None:
    authority = trustme.CA()
    trusted = authority.cert_pem.bytes().decode()
    issued = authority.issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems).decode()
    key = issued.private_key_pem.bytes().decode()
    with faking(tls=context) as (url, _):

        def reason(**files: str) -> str:
            """Why a session with these files is lost."""
            made = replace(crossed(plan(url), **files), pace=32.0)
            return loop.run(run_utterance(Live(loop, made), CLIP)).reason

        assert reason(ca=trusted, certificate=chain, key=key) == ""
        assert "the certificate cannot be v" in reason(certificate=chain, key=key)
        assert "client certificate" in reason(ca=trusted)


def test_a_dialect_that_the_worker_has_not_installed_is_named() -> None:
    sent = replace(connection(plan("http://127.0.0.1:1")), dialect="theirs")
    with pytest.raises(LookupError, match="unknown dialect 'theirs'"):
        planned(sent)
