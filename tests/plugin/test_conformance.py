"""The packaged suite as a user runs it: options, outcomes and output."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance import selection
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.trace.records import Sender
from tests.support.project import DIALECT, Faking, Project, of_vllm
from tests.support.servers import closed

SUITE = "realtime_conformance"
ASKED = "--realtime-conformance"
BINDING = [
    each for each in dialects.load(DIALECT).requirements if each.binds is Sender.SERVER
]
TESTS = len(BINDING) + 1
BUSY = 5  # the most requirements that a busy machine leaves undecided
# Faults that violate a MUST, a SHOULD and an INFO requirement.
BROKEN = ("two-finals", "old-clock", "acknowledges")


def ids(lines: list[str]) -> list[str]:
    """Return the ids of the requirements in these lines, in the same order."""
    return [line.partition("[")[2].rstrip("]") for line in lines if "[" in line]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no scenario wait for further events; the judged events come earlier."""
    monkeypatch.setattr(ScenarioRun, "settle", lambda _: asyncio.sleep(0))


# Options


def test_a_failed_corpus_is_reported_without_its_texts(
    project: Project, faulty: Faking, clips: str
) -> None:
    words = [ASKED, "-k", "spoken_corpus", "--realtime-keep-going"]
    words.append(f"--realtime-corpus={clips}")
    result = project.run(*words, target=faulty("close"))
    result.assert_outcomes(failed=1, deselected=TESTS - 1)
    said = "2 of 2 utterances have no final: *, *; the first failure: *code 1011*"
    result.stdout.fnmatch_lines(["*_ test_spoken_corpus _*", said])
    result.stdout.no_fnmatch_line("*Utterance(*")
    result.stdout.no_fnmatch_line("*turn right*")


@pytest.mark.slow
def test_wrong_texts_of_the_corpus_fail_with_their_cause(
    project: Project, faulty: Faking, clips: str
) -> None:
    words = [ASKED, "-k", "spoken_corpus", f"--realtime-corpus={clips}"]
    result = project.run(*words, target=faulty("swaps-bytes"))
    result.assert_outcomes(failed=1, deselected=TESTS - 1)
    result.stdout.fnmatch_lines(
        [
            "*_ test_spoken_corpus _*",
            "*% of the words of the spoken corpus are wrong (WER):",
            "ref: turn *right and stop",
            "hyp: *",
            "the server swaps the two bytes of each sample: with audio changed *",
            "test_spoken_corpus *2 *100.0%",  # the clips in other forms do not count
        ]
    )
    result = project.run(*words, "--realtime-private", target=faulty("swaps-bytes"))
    result.assert_outcomes(failed=1, deselected=TESTS - 1)
    result.stdout.no_fnmatch_line("*turn right*")


def test_many_wrong_words_of_the_corpus_are_a_warning(
    project: Project, faulty: Faking, clips: str
) -> None:
    words = [ASKED, "-k", "spoken_corpus", f"--realtime-corpus={clips}"]
    result = project.run(*words, target=faulty("loses-last-800ms"))
    result.assert_outcomes(passed=1, deselected=TESTS - 1)
    result.stdout.fnmatch_lines(
        [
            "realtime: 38% of the words of the spoken corpus are wrong (WER):",
            "realtime: ref: turn right and stop",
            "realtime: hyp: turn right *   [*]",
            "*= realtime speech recognition =*",
        ]
    )


@pytest.mark.slow
def test_a_correct_server_passes_under_strict_settings(project: Project) -> None:
    project.ini("testpaths = own")
    (project.path / "own").mkdir()
    project.write("def test_own(): assert False", name="own/test_own")
    strict = ("--strict-markers", "--strict-config", "--import-mode=importlib")
    words = (ASKED, "-v", "--junitxml=out.xml", "-W", "error", *strict)
    result = project.run(*words, "--realtime-report=conformance:out/it.json")
    # The one that wants a key, which this server does not ask for, is undecided, and on
    # a busy machine so may be what hangs on the clock: the self-test holds that again.
    outcomes = result.parseoutcomes()
    assert outcomes.keys() == {"passed", "skipped"}
    skipped = outcomes["skipped"]
    assert outcomes["passed"] == TESTS - skipped
    assert skipped <= 1 + BUSY
    result.stdout.fnmatch_lines(
        [
            "realtime conformance: vllm, newest: * requirements, * scenarios, *",
            f"{SUITE}/test_requirements.py::test_requirement?unique-ids? PASSED*",
            f"{SUITE}/test_speech.py::test_spoken_corpus PASSED*",
            f"{len(BINDING)} requirements: * satisfied, {skipped} undecided",
        ]
    )
    found = project.properties()
    assert found["test_spoken_corpus"]["realtime.wer"] == "0.0"
    assert found["test_requirement[order]"] == {
        "realtime.requirement": "order",
        "realtime.level": "must",
        "realtime.outcome": "satisfied",
    }
    told = json.loads((project.path / "out/it.json").read_text())
    assert told["server"]["version"] == "0.33.0"
    came = {each["id"]: each["status"] for each in told["requirements"]}
    assert came["wrong-key-refused"] == "undecided"
    assert [each["id"] for each in told["requirements"]] == [
        each.id for each in selection.requirements("vllm")
    ]


@pytest.mark.slow
def test_a_correct_server_passes_in_several_workers(project: Project) -> None:
    project.ini("asyncio_mode = auto")
    few = "first-event or one-final or bad-json or head-present or crowd or early"
    words = (ASKED, "-n2", "-k", few, "-W", "error")
    result = project.run(*words, apart=True)
    outcomes = result.parseoutcomes()
    assert set(outcomes) <= {"passed", "skipped"}  # what hangs on the clock, if busy
    assert outcomes["passed"] > 8
    result.stdout.fnmatch_lines(
        [
            "realtime conformance: vllm, newest: * requirements, *",
            f"{sum(outcomes.values())} requirements: * satisfied*",
        ]
    )


@pytest.mark.slow
def test_the_options_select_the_collected_tests(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.ini("testpaths = own")
    (project.path / "own").mkdir()
    project.write("def test_own(): pass", name="own/test_own")
    project.write("def test_other(): pass", name="test_other")

    def collected(*args: str) -> list[str]:
        result = project.run("--collect-only", "-q", *args)
        assert result.ret == 0
        result.stdout.no_fnmatch_line("*proves nothing*")
        return [line for line in result.outlines if "::" in line]

    own, other = "own/test_own.py::test_own", "test_other.py::test_other"
    suite = collected(ASKED)
    assert len(suite) == TESTS
    assert all(id.startswith(f"{SUITE}/test_") for id in suite)
    assert collected() == [own]
    assert collected(ASKED, "test_other.py") == [other, *suite]
    assert collected("--pyargs", "pytest_realtime_asr.conformance") == suite
    assert ids(collected(ASKED, "-k", "one-final")) == ["one-final"]
    musts = {each.id for each in BINDING if each.level is Level.MUST}
    assert set(ids(collected(ASKED, "--realtime-level=must"))) == musts
    marked = collected(ASKED, "-m", "realtime_requirement(level='must')")
    assert set(ids(marked)) == musts
    of_one = collected(ASKED, "-m", "realtime_requirement(scenario='early-commit')")
    assert ids(of_one) == ["early-commit-refused"]
    assert len(collected(ASKED, "--realtime-suite=vllm-2026.11")) <= TESTS
    monkeypatch.setenv("REALTIME_CONFORMANCE", "1")
    assert collected() == suite
    project.ini("realtime_conformance = false")
    assert collected() == [own]


@pytest.mark.parametrize("selected", [("-k", "own_nothing"), ("-m", "nothing")])
def test_a_run_that_judged_nothing_is_an_error(
    project: Project, selected: tuple[str, str]
) -> None:
    project.write("def test_own_nothing(): pass")
    project.ini("markers = nothing")
    result = project.run(ASKED, *selected, "test_it.py")
    assert result.ret != 0
    result.stdout.fnmatch_lines(
        ["no requirement was judged, so this run proves nothing about the server"]
    )


@of_vllm
def test_the_plan_sends_nothing(project: Project) -> None:
    words = (ASKED, "--realtime-plan", "-k", "crowd-finishes or order or [reset")
    result = project.run(*words, target="http://gpu-7:8000")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "realtime conformance: vllm, newest: 3 requirements, 2 scenarios (2 "
            "not run), * min of audio, 2 connections, *",
            "  scenario * harm *",
            "  first-utterance *",
            "  utterances *",
            "  crowd * NOT RUN: the scenario is heavy; add --realtime-allow=heavy to *",
            "  reset * NOT RUN: the scenario is disruptive; add --realtime-allow=*",
        ]
    )
    assert "passed" not in result.parseoutcomes()
    allowed = ("--realtime-allow=heavy,disruptive", "--realtime-max-streams=8")
    result = project.run(*words, *allowed, target="http://gpu-7:8000")
    result.stdout.fnmatch_lines(["*: 3 requirements, 4 scenarios, *"])
    result.stdout.no_fnmatch_line("*NOT RUN*")


@of_vllm
def test_the_lists_of_requirements_metrics_and_options(project: Project) -> None:
    result = project.run("--realtime-list=requirements", "--realtime-level=must")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["one-final  MUST", "    each utterance ends in exactly one final"]
    )
    result.stdout.no_fnmatch_line("*SHOULD*")
    project.run("--realtime-list=metrics").stdout.fnmatch_lines(
        ["final_from_commit  in ms", "    *"]
    )
    project.run("--realtime-list=options").stdout.fnmatch_lines(
        ["--realtime-target=URL  (realtime_target, REALTIME_TARGET)"]
    )
    wrong = project.run("--realtime-list=servers")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stderr.fnmatch_lines(
        [
            "*--realtime-list: there is no list 'servers'; choose from "
            "requirements, dialects, metrics, options and faults"
        ]
    )


# The output for a faulty server


@of_vllm
def test_a_violated_must_fails_with_its_evidence(
    project: Project, faulty: Faking
) -> None:
    url = faulty(*BROKEN)
    words = (ASKED, "-k", "one-final", "--junitxml=out.xml")
    result = project.run(*words, target=url)
    result.assert_outcomes(failed=1, deselected=TESTS - 1)
    result.stdout.fnmatch_lines(
        [
            "one-final ?MUST? violated: a transcription.done came, but it belongs to "
            "no completed utterance",
            "  requirement: each utterance ends in exactly one final",
            "  clause: vLLM 0.33.0, *",
            "  documented field: type of transcription.done: a string",
            "  page: docs/protocols/vllm.md#one-final",
            "  scenarios: utterances",
            "  trace: *.jsonl",
            "  session sess-* (first-utterance)",
            '*>*server  {"type":"transcription.done",*',
            "*closed by us, code 1000",
            "again: pytest --realtime-target=* -k *one-final*",
        ]
    )
    result.stdout.fnmatch_lines(["MUST violated:", "  one-final: *"])
    # In a CI, pytest prints the message a second time, in its summary.
    (trace,) = {
        row.split()[-1] for row in result.outlines if row.strip().startswith("trace: ")
    }
    assert (project.path / trace).exists()
    found = project.properties()["test_requirement[one-final]"]
    assert found["realtime.outcome"] == "violated"
    assert found["realtime.seen"]


@of_vllm
@pytest.mark.usefixtures("hurried")
def test_a_violated_should_fails_only_under_strict(
    project: Project, faulty: Faking
) -> None:
    """A violated INFO requirement (update-is-silent) fails no test."""
    url = faulty(*BROKEN)
    words = (ASKED, "-k", "created-now or update-is-silent")
    result = project.run(*words, target=url)
    result.assert_outcomes(passed=2, deselected=TESTS - 2)
    result.stdout.fnmatch_lines(
        [
            "SHOULD violated (no test fails):",
            "  created-now: created is 0, but the session started at *",
        ]
    )
    strict = project.run(*words, "--realtime-strict", target=url)
    strict.assert_outcomes(failed=1, passed=1, deselected=TESTS - 2)
    strict.stdout.fnmatch_lines(["created-now ?SHOULD? violated: *"])
    for told in (result, strict):
        told.stdout.fnmatch_lines(
            ["INFO: deviates from the documentation:", "  update-is-silent: *"]
        )


@of_vllm
def test_items_with_one_cause_are_reported_once(project: Project) -> None:
    with closed() as port:
        result = project.run(ASKED, "-k", "refused", target=f"127.0.0.1:{port}")
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1
    assert outcomes["skipped"] >= 20
    lines = result.outlines
    said = "no server was there: Connection refused"
    assert " ".join(" ".join(lines).split()).count(said) == 2  # test, summary
    assert "the server was not tested" in lines
    refer = "not tried, since the server could not be tested (see "
    assert any(f"{outcomes['skipped']} x {refer}" in line for line in lines)
    assert sum(line.strip().startswith("clause: ") for line in lines) == 0


def test_the_skipped_corpus_says_why(project: Project) -> None:
    result = project.run(ASKED, "-k", "test_spoken_corpus", target="fake")
    result.assert_outcomes(skipped=1, deselected=TESTS - 1)
    said = "realtime: test_spoken_corpus was skipped: the fake server knows *"
    result.stdout.fnmatch_lines([said])


@of_vllm
def test_another_version_is_skipped_with_the_reason(project: Project) -> None:
    words = (ASKED, "-k", "unknown-model", "--realtime-server-version=0.16.0", "-rs")
    result = project.run(*words)
    result.assert_outcomes(passed=1, skipped=1, deselected=TESTS - 2)
    result.stdout.fnmatch_lines(
        [
            "*other version: the requirement applies to versions since 0.22; the "
            "server has version 0.16.0*"
        ]
    )


def test_a_server_that_limits_its_clients_violates_nothing(
    project: Project, faulty: Faking
) -> None:
    url = faulty("limits")
    result = project.run(ASKED, "-k", "update-again", target=url)
    assert "failed" not in result.parseoutcomes()


# Known failures


def known(path: Path, *ids: str, **fields: str) -> None:
    row = {
        "reason": '"it is so"',
        "issue": '"https://example.org/1"',
        "until": str(date.today() + timedelta(days=90)),
        **fields,
    }
    lines = "\n".join(f"{name} = {value}" for name, value in row.items())
    path.write_text("".join(f'[[known]]\nid = "{id}"\n{lines}\n' for id in ids))


@pytest.mark.slow
def test_a_known_failure_is_expected(project: Project, faulty: Faking) -> None:
    """A run in which only known failures occur has the exit code 0."""
    url = faulty(*BROKEN)
    known(project.path / "known.toml", "one-final", "created-now")
    words = (ASKED, "--realtime-known-failures=known.toml")
    result = project.run(*words, "-k", "one-final or created-now", target=url)
    result.assert_outcomes(xfailed=2, deselected=TESTS - 2)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*proves nothing*")
    result.stdout.fnmatch_lines(["known failures:", "  one-final: *"])
    # So it is in the user's own tests, which the passive rules watch.
    project.write(
        """
@pytest.mark.realtime(rules="must")
def test_own(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
    )
    own = ("--realtime-known-failures=known.toml", "test_it.py")
    result = project.run(*own, target=url)
    result.stdout.no_fnmatch_line("*rule one-final*")
    result = project.run("test_it.py", target=url)
    result.stdout.fnmatch_lines(["*rule one-final*"])


@of_vllm
@pytest.mark.usefixtures("hurried")
def test_a_known_failure_that_passes_now_is_an_error(project: Project) -> None:
    soon = str(date.today() + timedelta(days=3))
    known(project.path / "known.toml", "one-final", until=soon)
    words = (ASKED, "--realtime-known-failures=known.toml", "-k", "one-final")
    result = project.run(*words)
    result.assert_outcomes(failed=1, deselected=TESTS - 1)
    result.stdout.fnmatch_lines(
        [
            "known failure one-final passes now; remove its entry from the list",
            "known failure one-final expires in 3 days, on *",
        ]
    )


@pytest.mark.parametrize(
    ("id", "fields", "message"),
    [
        ("no-such", {}, "no-such: there is no such requirement*"),
        ("order", {"until": "2020-01-01"}, "order: the entry expired on *"),
        ("order", {"until": '"soon"'}, "*1.until: Expected `date`, got `str`; write*"),
        ("order", {"model": "5"}, "*1.model: Expected `str`, got `int`; write*"),
    ],
)
def test_a_wrong_list_is_refused(
    project: Project, id: str, fields: dict[str, str], message: str
) -> None:
    known(project.path / "known.toml", id, **fields)
    result = project.run(ASKED, "--realtime-known-failures=known.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--realtime-known-failures: {message}"])


def test_a_report_that_cannot_be_written_is_refused_at_the_start(
    project: Project,
) -> None:
    (project.path / "file").write_text("")
    report = "--realtime-report=conformance:file/out.json"
    result = project.run(ASKED, "-k", "created-now", report)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --realtime-report=*file/out.json: *"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_measured(
    project: Project, number: signal.Signals
) -> None:
    words = [sys.executable, "-m", "pytest", f"--realtime-target={project.url}", ASKED]
    words += ["--realtime-report=conformance:out.json", "-p", "no:cacheprovider", "-v"]
    process = subprocess.Popen(words, cwd=project.path, stdout=subprocess.PIPE)
    assert process.stdout is not None
    judged = 0
    while judged < TESTS // 4:
        line = process.stdout.readline()
        assert line  # the run has not ended
        judged += line.count(b" PASSED ")
    process.send_signal(number)
    told = process.communicate(timeout=60)[0].decode()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    rows = json.loads((project.path / "out.json").read_text())["requirements"]
    assert 0 < len(rows) < len(BINDING)
    assert f"{len(rows)} requirements: " in told


# In the repository of a server


@of_vllm
@pytest.mark.usefixtures("hurried")
def test_an_asgi_application_is_judged(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        '''
import base64
import json
import pytest

async def application(scope, receive, send):
    """A realtime server that always returns an empty transcript."""
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "http":
        found = scope["path"] in ("/health", "/v1/models")
        body = b'{"data":[{"id":"stub"}]}' if found else b""
        head = [(b"content-type", b"application/json")]
        status = 200 if found else 404
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})
        return
    await receive()
    await send({"type": "websocket.accept"})

    async def say(**event):
        await send({"type": "websocket.send", "text": json.dumps(event)})

    await say(type="session.created", id=str(id(receive)), created=1)
    while (message := await receive())["type"] != "websocket.disconnect":
        try:
            event = json.loads(message.get("text") or "")
        except ValueError:
            await say(type="error", error="no", code="invalid_json")
            continue
        if event.get("final"):
            usage = dict(prompt_tokens=1, completion_tokens=0, total_tokens=1)
            await say(type="transcription.done", text="", usage=usage)

@pytest.fixture(scope="session")
def realtime_target():
    return application
'''
    )
    words = (ASKED, "-k", "bad-json or created-now or first-event", "-W", "error")
    result = project.run(*words, target=None)
    result.assert_outcomes(passed=3, deselected=TESTS - 3)
    result.stdout.fnmatch_lines(["SHOULD violated (no test fails):"])


def test_a_target_that_is_no_url_and_no_application_is_reported(
    project: Project,
) -> None:
    (project.path / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.fixture(scope='session')\ndef realtime_target(): return 5\n"
    )
    result = project.run(ASKED, "-k", "order", target=None)
    result.stdout.fnmatch_lines(
        ["*the fixture realtime_target returned 5; it should *"]
    )
