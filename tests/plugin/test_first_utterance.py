"""The first utterance as a user sees it: what stops a run, and what goes on."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from websockets.asyncio.server import ServerConnection

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.faults import session
from pytest_realtime_asr.run import model_choice
from pytest_realtime_asr.trace.records import Sender
from tests.client.test_greetings import MISTRAL
from tests.support.project import (
    DIALECT,
    Faking,
    Project,
    of_vllm,
    with_several_utterances,
)
from tests.support.servers import faking, serving

SUITE = ("--realtime-conformance", "--realtime-timeout=1")
BINDING = [
    each for each in dialects.load(DIALECT).requirements if each.binds is Sender.SERVER
]
TESTS = len(BINDING) + 1  # and the spoken corpus


def known(*ids: str) -> str:
    """A list of known failures with these requirements."""
    until = date.today() + timedelta(days=90)
    return "".join(
        f'[[known]]\nid = "{id}"\nreason = "tracked"\nissue = "#1"\nuntil = {until}\n'
        for id in ids
    )


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        pytest.param(
            "no-final",
            "for the final of utterance 0 (turn-right)",
            marks=with_several_utterances,  # a server of one utterance closes instead
        ),
        pytest.param(
            "refuses-setup",
            "the server sent an error: Unknown event type",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "close", "the server closed with code 1011", marks=pytest.mark.slow
        ),
        pytest.param(
            "no-greeting",
            "for the server to be ready; no event was received",
            marks=pytest.mark.slow,  # the time in which a server has to be ready
        ),
    ],
)
def test_a_failed_first_utterance_is_the_only_finding(
    project: Project, faulty: Faking, fault: str, cause: str
) -> None:
    result = project.run(*SUITE, "--junitxml=out.xml", target=faulty(fault))
    result.assert_outcomes(failed=1, skipped=TESTS - 1)
    rest = len(BINDING) - 1
    result.stdout.fnmatch_lines(
        [
            "*= realtime conformance =*",
            "*",
            f"{len(BINDING)} requirements: 1 violated, {rest} stopped",
            "",
            "MUST violated:",
            "  first-utterance: *",
        ],
        consecutive=True,
    )
    result.stdout.fnmatch_lines(
        [
            "stopped:",
            f"  {rest} x not tried, since the first utterance failed (see first-*",
        ]
    )
    assert cause in " ".join(" ".join(result.outlines).split())


@of_vllm
def test_the_first_test_reports_the_stop_if_the_requirement_is_missing(
    project: Project, faulty: Faking
) -> None:
    asked = (*SUITE, "--realtime-suite=vllm-2026.11", "-k", "finishes-1s or spoken")
    result = project.run(*asked, target=faulty("no-final"))
    result.assert_outcomes(failed=1, skipped=1, deselected=109)
    result.stdout.fnmatch_lines(
        [
            "finishes-1s ?MUST? stopped: the first utterance of the run failed: no "
            "final came for turn-right: waited * s for the final of utterance 0 *",
        ]
    )


@pytest.mark.slow
def test_the_spoken_corpus_alone_stops_too(project: Project, faulty: Faking) -> None:
    result = project.run(*SUITE, "-k", "spoken", target=faulty("no-final"))
    result.assert_outcomes(failed=1, deselected=TESTS - 1)
    result.stdout.fnmatch_lines(
        ["the first utterance of the run failed: no final came for turn-right: *"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("listed", [True, False])
def test_the_run_continues_after_an_expected_failure_or_with_keep_going(
    project: Project, faulty: Faking, listed: bool
) -> None:
    (project.path / "known.toml").write_text(known("first-utterance"))
    more = "--realtime-known-failures=known.toml" if listed else "--realtime-keep-going"
    asked = (*SUITE, "-k", "first-utterance or first-event or no-object", more)
    result = project.run(*asked, target=faulty("no-final"))
    result.stdout.fnmatch_lines(["no-object-refused ?MUST? violated: *"])
    if listed:
        result.assert_outcomes(passed=1, xfailed=1, failed=1, deselected=TESTS - 3)
    else:
        result.assert_outcomes(passed=1, failed=2, deselected=TESTS - 3)


@pytest.mark.parametrize(
    ("fault", "flaw"),
    [
        pytest.param(
            "half-greeting",
            "session.created: `created` is missing in * sessions; it must be an "
            "integer of 64 bits",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "half-usage",
            "transcription.done: `usage.prompt_tokens` is missing in * sessions; it "
            "must be an integer of 64 bits",
            marks=of_vllm,
        ),
        pytest.param(
            "nan-usage",
            "transcription.done: `usage.total_tokens` is NaN in * sessions; it must be "
            "an integer of 64 bits",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_wrong_field_is_one_violation_and_the_sessions_go_on(
    project: Project, faulty: Faking, fault: str, flaw: str
) -> None:
    judged = "first or created or formed or one-final or usage or text-of or alone"
    result = project.run(*SUITE, "-k", judged, target=faulty(fault))
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1
    assert outcomes["passed"] >= 5
    result.stdout.fnmatch_lines([f"well-formed ?MUST? violated: {flaw}"])


@pytest.mark.slow
def test_two_violations_by_one_end_of_a_session_are_one_finding(
    project: Project, faulty: Faking
) -> None:
    asked = (*SUITE, "--realtime-strict", "-k", "binary-answered or closes-are")
    result = project.run(*asked, target=faulty("silent-close"))
    result.assert_outcomes(failed=1, skipped=1, deselected=TESTS - 2)
    result.stdout.fnmatch_lines(
        [
            "2 requirements: 1 violated, 1 same cause",
            "SHOULD violated:",
            "  closes-are-explained: the server sent no error before the session *",
            "same cause:",
            "  1 x the same cause as closes-are-explained: *",
        ]
    )


def said(result: pytest.RunResult) -> str:
    return " ".join(" ".join(result.outlines).split())


@of_vllm
def test_a_refused_set_up_names_the_nearest_dialect(
    project: Project, faulty: Faking
) -> None:
    result = project.run(*SUITE, target=faulty("refuses-setup"))
    assert (
        "the first event of the server fits vllm, so check --realtime-model and "
        "--realtime-session-options first; after that, try "
        "--realtime-dialect=openai:sglang, the other dialect whose first event is the "
        "most similar"
    ) in said(result)


def test_a_refused_set_up_of_an_unknown_dialect_names_the_nearest(
    project: Project,
) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(json.dumps(MISTRAL))
        async for _ in connection:
            await connection.send('{"type":"error","error":{"message":"no"}}')

    with serving(talk) as url:
        asked = ("--realtime-dialect=openai-beta", "--realtime-profile=speaches")
        named = ("--realtime-model=m", "-k", "first-utterance")
        result = project.run(*SUITE, *asked, *named, target=url)
    result.assert_outcomes(failed=1, deselected=result.parseoutcomes()["deselected"])
    assert (
        "the server sent an error: no (); the first event of the server does not fit "
        "openai-beta:speaches; try --realtime-dialect="
    ) in said(result)


@pytest.mark.slow  # the server is cold for seconds
@pytest.mark.parametrize("wait", ["", "--realtime-wait=20"])
def test_a_cold_server_passes_only_with_a_longer_wait(
    project: Project, wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "COLD", 1.5)
    asked = [*SUITE, "-k", "first-utterance", *filter(None, [wait])]
    with faking("cold-final") as (url, _):
        result = project.run(*asked, "-orealtime_warmup=auto", target=url)
    noted = "--realtime-wait=SECONDS waits longer for a server that is slow to start"
    result.assert_outcomes(passed=1, deselected=TESTS - 1)  # it is warm by now
    with faking("cold-final") as (url, _):
        result = project.run(*asked, target=url)  # without a warm-up
    if wait:
        result.assert_outcomes(passed=1, deselected=TESTS - 1)
    else:
        result.assert_outcomes(failed=1, deselected=TESTS - 1)
    assert (noted in said(result)) == (not wait)


@pytest.mark.slow
def test_the_model_that_works_is_used(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_choice, "ANSWER", 0.2)
    with faking("lists-llm-first") as (url, _):
        result = project.run(*SUITE, "-k", "first-utterance", target=url)
        result.assert_outcomes(passed=1, deselected=TESTS - 1)
        result.stdout.fnmatch_lines(["realtime: ws://*, vllm, model fake, *"])
    with faking("lists-llm-first", "refuses-setup") as (url, _):
        result = project.run(*SUITE, "-k", "first-utterance", target=url)
    assert "; name the model with --realtime-model; the server lists language-" in said(
        result
    )
