"""The screen of the command ``doctor``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_realtime_asr import Corpus, corpus
from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.contact import Contact
from pytest_realtime_asr.client.transport import Encryption, Unreachable
from pytest_realtime_asr.report.diagnosis import Examined, screen
from pytest_realtime_asr.run.calibration import Calibration, Error
from pytest_realtime_asr.run.config import ServerConfig, TlsConfig
from pytest_realtime_asr.run.diagnosis import Diagnosis

CONTACT = Contact("{}", 8.4, (0.2, 0.3, 6.0), None)
SOUND = Diagnosis(
    target.parse("http://gpu-7:8000", path="/v1/realtime"),
    21.8,
    "any",
    "auto: the first event was hello",
    CONTACT,
    "hello",
    ("a", "b"),
    "a",
    "0.33.0",
)
SECURE = target.parse("https://gpu-7", path="/v1/realtime")
EXAMINED = Examined(
    SOUND,
    ServerConfig(key="a-secret-key"),
    "THE_KEY",
    corpus.load("bundled:english"),
    Calibration(datetime(2026, 1, 1, tzinfo=UTC), "here", {"lag": Error(8, -3.0, 2.0)}),
    "pytest --realtime-conformance",
)
REFUSED = Unreachable("ws://gpu-7: HTTP 401: the server refused it", status=401)


def lines(given: Examined, **server: Any) -> dict[str, str]:
    """The text of each line by its name; the name of a problem begins with ``!``."""
    found = replace(given, server=replace(given.server, **server))
    shown = screen(found, width=10_000)
    return {line[:14].strip(): line[14:] for line in shown if line[:14].strip()}


def test_the_screen_of_a_correct_server() -> None:
    found = lines(EXAMINED)
    assert list(found) == [
        *("target", "TLS", "key", "health", "first event", "dialect", "models"),
        *("round trip", "corpus", "clock", "versions", "result"),
    ]
    assert found["target"].startswith("ws://gpu-7:8000/v1/realtime, HTTP routes at ")
    assert found["TLS"].startswith("none: ")
    assert found["key"] == "found in the environment variable THE_KEY"
    assert found["first event"].startswith("hello, 8.4 ms after ")
    assert found["dialect"] == "any (auto: the first event was hello), version 0.33.0"
    assert found["models"] == "the server lists 2 models: a, b; sessions use a"
    assert found["round trip"] == "0.3 ms (median of 3 pings, 0.2 to 6 ms)"
    said = "bundled:english: 26 clips, 1.2 min; language: en (26 utterances)"
    assert found["corpus"].startswith(said)
    assert found["clock"].startswith("latencies on this machine are exact to 5 ms now")
    assert "pytest-realtime-asr 0." in found["versions"]
    assert found["result"] == "tests can run; next: pytest --realtime-conformance"
    assert "a-secret-key" not in str(found)


def test_the_screen_fits_into_80_columns() -> None:
    shown = screen(EXAMINED)
    assert len(shown) <= 24
    assert max(map(len, shown)) <= 80


@pytest.mark.parametrize(
    ("server", "wrong", "missing"),
    [
        ({"health": REFUSED}, {"! health"}, {"models", "dialect", "round trip"}),
        (
            {"dialect": REFUSED, "contact": None, "models": REFUSED, "model": None},
            {"! first event", "! models"},
            {"dialect", "round trip"},
        ),
        ({"contact": REFUSED, "model": None}, {"! first event"}, {"round trip"}),
        ({"model": REFUSED}, {"! models"}, set()),
    ],
)
def test_problems_that_prevent_tests_are_marked(
    server: dict[str, object], wrong: set[str], missing: set[str]
) -> None:
    found = lines(EXAMINED, **server)
    assert {name for name in found if name.startswith("!")} == {*wrong, "! result"}
    assert not missing & found.keys()
    assert any("HTTP 401: the server refused it" in text for text in found.values())


def test_a_language_that_is_not_stated_comes_with_advice() -> None:
    assert isinstance(EXAMINED.corpus, Corpus)
    first, *rest = EXAMINED.corpus
    mixed = Corpus("mixed", (first, *(replace(each, language="") for each in rest)))
    assert (
        "language: not stated (25 utterances), en (1 utterance); state it with "
        "--realtime-language"
    ) in lines(replace(EXAMINED, corpus=mixed))["corpus"]


def test_a_corpus_that_is_refused() -> None:
    wrong = "--realtime-corpus: x: 2 problems:\n  a.wav: no\n  b.wav: no"
    given = replace(EXAMINED, corpus=wrong)
    assert not given.testable
    at = next(n for n, line in enumerate(screen(given)) if line.startswith("! corpus"))
    assert [line[14:] for line in screen(given)[at : at + 3]] == [
        "--realtime-corpus: x: 2 problems:",
        "a.wav: no",
        "b.wav: no",
    ]


@pytest.mark.parametrize(
    ("certificate", "insecure", "shown"),
    [
        ({}, True, "not verified (--realtime-insecure)"),
        ({"notAfter": "Jan  1 00:00:00 2200 GMT"}, False, "verified, valid until Jan"),
        ({}, False, "certificate verified"),
    ],
)
def test_the_line_about_tls(
    certificate: dict[str, str], insecure: bool, shown: str
) -> None:
    config = ServerConfig(tls=TlsConfig(insecure=insecure))
    met = replace(CONTACT, encryption=Encryption("TLSv1.3", certificate))
    found = lines(replace(EXAMINED, config=config), target=SECURE, contact=met)
    assert found["TLS"].startswith("TLSv1.3")
    assert shown in found["TLS"]
    lost = lines(replace(EXAMINED, config=config), target=SECURE, health=REFUSED)
    assert lost["TLS"].startswith("not known")


def test_missing_facts_are_named() -> None:
    bare = replace(
        EXAMINED,
        config=ServerConfig(headers={"X-Team": "a-secret-value"}),
        calibration="not known: the fake server did not start",
    )
    quiet = replace(CONTACT, round_trips=())
    found = lines(bare, contact=quiet, first="", found="", model="c")
    assert found["key"].startswith("none: the environment variable THE_KEY is not set")
    assert found["key"].endswith("--realtime-header sends X-Team")
    assert found["first event"] == "none, and this dialect needs none"
    assert found["models"].endswith("sessions use c, which is not one of them")
    assert "answered none of 5 pings" in found["round trip"]
    assert found["clock"].startswith("not known")
    assert "a-secret-value" not in str(found)
