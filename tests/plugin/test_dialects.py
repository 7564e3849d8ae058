"""Dialects as a user sees them: detected, named, with a profile, or third-party."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import probe
from pytest_realtime_asr.fake.process import FakeServer
from tests.support.project import SOON, Faking, Project
from tests.support.servers import closed, faking, plain, serving

FOUND = "vllm (auto: the first event was session.created)"
AUTO = "-orealtime_dialect=auto"
NAME_IT = (
    "name the dialect with --realtime-dialect=NAME (realtime_dialect in the ini file, "
    f"REALTIME_DIALECT); choose from {', '.join(dialects.installed())}"
)
SPEAK = """
def test_first(realtime, corpus):
    assert realtime.transcribe(corpus["turn-right"]).text == "turn right and stop"

def test_second(realtime, corpus):
    assert realtime.transcribe(corpus["turn-right"]).text == "turn right and stop"
"""


class Site:
    """Answers the HTTP requests of a server with one model, and counts its sessions."""

    def __init__(self, *said: str) -> None:
        self.said = said
        self.opened = 0

    def __call__(self, request: Request) -> Response | None:
        if request.path == "/v1/models":
            return plain(200, b'{"data":[{"id":"m"}]}')
        if request.path in ("/health", "/version"):
            return plain(404)
        self.opened += 1
        return None

    async def talk(self, connection: ServerConnection) -> None:
        for frame in self.said:
            await connection.send(frame)
        await connection.wait_closed()


@contextmanager
def site(*said: str) -> Iterator[tuple[str, Site]]:
    """Run a server that sends these frames first and then nothing more."""
    it = Site(*said)
    with serving(it.talk, answer=it) as url:
        yield url, it


def refused(result: pytest.RunResult, said: str) -> None:
    """Check that the run was refused with this one line."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.errlines if line.startswith("ERROR")]
    assert lines == [f"ERROR: {said}"]
    result.stderr.no_fnmatch_line("*Traceback*")


# Found


def test_the_dialect_is_detected_once_and_shown(project: Project) -> None:
    project.write(SPEAK)
    with faking() as (url, fake):
        reports = ("--junitxml=out.xml", "--realtime-report=out.jsonl")
        result = project.run(AUTO, *reports, target=url)
        traces = fake.traces()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"realtime: ws://*, {FOUND}, model fake, *"])
    assert len(traces) == 1 + 2
    reason = FOUND.partition("(")[2].rstrip(")")
    for properties in project.properties().values():
        assert properties["realtime.dialect"] == "vllm"
        assert properties["realtime.dialect_found"] == reason
    assert {(row["dialect"], row["dialect_found"]) for row in project.rows()} == {
        ("vllm", reason)
    }


@pytest.mark.slow
def test_the_suite_of_the_detected_dialect_runs(
    project: Project, faulty: Faking
) -> None:
    report = "--realtime-report=conformance:out.json"
    asked = ("--realtime-conformance", "-k", "first-event", report)
    result = project.run(AUTO, *asked, target=faulty())
    assert result.parseoutcomes()["passed"] == 1
    said = " ".join(" ".join(result.outlines).split())
    assert re.search(f"ws://[^ ]+, {re.escape(FOUND)}, model fake, version ", said)
    server = json.loads((project.path / "out.json").read_text())["server"]
    assert f"{server['dialect']} ({server['found']})" == FOUND


@pytest.mark.slow
def test_workers_get_the_detected_dialect(project: Project) -> None:
    project.write(SPEAK)
    with faking() as (url, fake):
        # The suite is collected, and by all workers alike; what is run are the tests.
        asked = (AUTO, "--realtime-conformance", "-n2", "--realtime-report=out.jsonl")
        only = ("test_it.py", "-k", "test_first or test_second")
        result = project.run(*asked, *only, target=url, apart=True)
        traces = fake.traces()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"realtime: *{FOUND}*"])
    assert len(traces) == 1 + 2
    assert all(row["dialect_found"] for row in project.rows())


def test_a_run_without_a_realtime_test_connects_to_no_server(project: Project) -> None:
    project.write("def test_plain(corpus): pass")
    with site() as (url, it):
        for ini in ("", f"realtime_target = {url}"):
            project.ini(ini)
            project.run(AUTO, target=None).assert_outcomes(passed=1)
        project.write(SPEAK)
        project.run(AUTO, "--collect-only", target=None).assert_outcomes()
        project.run(AUTO, "--collect-only", target=url).assert_outcomes()
    assert it.opened == 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            (),
            "the server opened a session and sent nothing within 0.2 s; "
            "--realtime-wait=SECONDS waits longer for a server that is slow to start; "
            "a server that waits for the client to begin may speak deepgram or vosk",
        ),
        (
            ('{"type":"hello","to":"you"}',),
            """the first event was '{"type":"hello","to":"you"}'; no installed """
            "dialect begins with this event",
        ),
    ],
)
def test_a_server_that_shows_no_dialect(
    project: Project, monkeypatch: pytest.MonkeyPatch, said: tuple[str, ...], told: str
) -> None:
    monkeypatch.setattr(probe, "GREETING", 0.2)
    project.write(SPEAK)
    with site(*said) as (url, it):
        result = project.run(AUTO, target=url)
    result.assert_outcomes(errors=1, skipped=1)
    line = f"ws://*: {told}; {NAME_IT}"
    head = "realtime: http*: the server cannot be tested, see below; corpus *"
    result.stdout.fnmatch_lines([head])
    result.stdout.fnmatch_lines([f"realtime target: {line}"])
    # Silence is not cured by another header; another first word may be.
    assert it.opened == (2 if said else 1) + bool(said)


def test_an_unreachable_server(project: Project) -> None:
    project.write(SPEAK)
    asked = ("--realtime-conformance", "test_it.py", "--realtime-report=conformance:o")
    with closed() as port:
        result = project.run(AUTO, *asked, target=f"127.0.0.1:{port}")
    # The first test says it, and the others refer to that test.
    result.assert_outcomes(errors=1, skipped=3)
    said = "*: no server was there: Connection refused; is the server running, *right?"
    head = "realtime: 127.0.0.1:*: the server cannot be tested, see below; corpus *"
    result.stdout.fnmatch_lines([head])
    result.stdout.fnmatch_lines([f"realtime target: {said}"])
    assert not (project.path / "o").exists()  # nothing was judged


def test_a_run_that_sends_nothing_detects_no_dialect(project: Project) -> None:
    with site() as (url, it):
        plan = (AUTO, "--realtime-conformance", "--realtime-plan")
        why = "--realtime-plan sends nothing, so no dialect can be detected"
        said = f"{why}, {NAME_IT}"
        refused(project.run(*plan, target=url), said)
        listed = project.run(AUTO, "--realtime-list=requirements", target=url)
    assert it.opened == 0
    listed.stdout.fnmatch_lines(["*requirements of openai", "*requirements of vllm"])
    project.run(*plan, target="fake").stdout.fnmatch_lines(["*: vllm, newest: *"])


# Named


@pytest.mark.slow
def test_a_server_that_only_a_fixture_names(project: Project, faulty: Faking) -> None:
    (project.path / "conftest.py").write_text(
        f"""
import pytest

@pytest.fixture(scope="session")
def realtime_target():
    return {faulty()!r}
"""
    )
    project.write(SPEAK)
    said = (
        "test_it.py::test_first: the fixture realtime_target (conftest.py:4) returns "
        f"the server, so the dialect cannot be detected; {NAME_IT}; for a single "
        "test, use @pytest.mark.realtime(dialect=NAME)"
    )
    refused(project.run(AUTO, target=None), said)
    said = (
        "--realtime-conformance: there is no target whose dialect can be "
        "detected; pass --realtime-target=URL or, if the fixture realtime_target "
        "returns the target, "
        f"{NAME_IT}"
    )
    refused(project.run(AUTO, "--realtime-conformance", target=None), said)
    project.run(target=None).assert_outcomes(passed=2)
    project.write(f"pytestmark = pytest.mark.realtime(dialect='vllm')\n{SPEAK}")
    project.run(AUTO, target=None).assert_outcomes(passed=2)


@pytest.mark.slow
def test_a_fake_server_of_a_fixture_has_the_default_dialect(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        """
import pytest

@pytest.fixture(scope="session")
def realtime_target(pytestconfig):
    return "fake" if pytestconfig.getini("realtime_target") else ""
"""
    )
    project.ini("realtime_target = http://127.0.0.1:1")
    project.write(
        """
def test_default(realtime):
    assert realtime.dialect == "vllm"

@pytest.mark.realtime(dialect="openai")
def test_other(realtime, corpus):
    assert realtime.transcribe(corpus["turn-right"]).trace.dialect == "openai"
"""
    )
    result = project.run(AUTO, f"--realtime-fake={' '.join(SOON)}", target=None)
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("warmup", [0, 1])
def test_a_server_of_another_dialect(project: Project, warmup: int) -> None:
    project.write(SPEAK)
    with faking() as (url, fake):
        named = ("--realtime-dialect=openai", f"--realtime-warmup={warmup}")
        result = project.run(*named, target=url)
        traces = fake.traces()
    # Without a warm-up, the first test finds it in its own session.
    outcomes = {"errors": 1, "skipped": 1} if warmup else {"errors": 1, "failed": 1}
    result.assert_outcomes(**outcomes)
    said = (
        "*ws://127.0.0.1:*/v1/realtime does not speak openai: the first event was "
        "session.created, which is the first event of vllm; use "
        "--realtime-dialect=vllm"
    )
    result.stdout.fnmatch_lines([said] * (1 if warmup else 2))
    assert len(traces) == 1


def test_the_suite_names_another_dialect_without_a_warm_up(project: Project) -> None:
    with faking() as (url, _):
        named = ("--realtime-dialect=openai", "--realtime-warmup=0")
        asked = ("--realtime-conformance", "-k", "text-of-speech")
        result = project.run(*named, *asked, target=url)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["text-of-speech *does not speak openai: *use --realtime-dialect=vllm"]
    )


# Profiles


@pytest.mark.slow
def test_a_profile_in_the_ini_file(project: Project) -> None:
    project.write(
        """
def test_it(realtime):
    print("dialect:", realtime.dialect, realtime.plan.caller.rate)
"""
    )
    words = "sglang rates=16000 least=0.2"
    project.ini(f"realtime_profile = {words}")
    result = project.run(AUTO, "-s", target="fake")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*dialect: openai:{words} 16000*"])
    result.stdout.fnmatch_lines([f"realtime: *, openai:{words}, model scripted, *"])


def test_profiles_are_listed(project: Project) -> None:
    listed = project.run(AUTO, "--realtime-list=dialects", target=None)
    listed.stdout.fnmatch_lines(
        [
            "openai  /v1/realtime, 24000 Hz",
            "    openai  the default",
            "    azure  key=api-key",
            "openai-beta  /v1/realtime, 24000 Hz",
            "    riva  rates=16000 companded=no vad=no *",
            "vllm  /v1/realtime, 16000 Hz",
        ]
    )


THERE = (
    "the profiles are deepgram: *; openai: openai, azure, sglang, localai; "
    "openai-beta: beta, *"
)


@pytest.mark.parametrize(
    ("words", "dialect", "said"),
    [
        ("klingon", "auto", f"no dialect has a profile 'klingon'; {THERE}"),
        (
            "rates=8000",
            "auto",
            "'rates=8000' changes a profile, but no dialect is named; name the dialect "
            "with --realtime-dialect=NAME",
        ),
        ("sglang", "vllm", f"vllm has no profile 'sglang'; {THERE}"),
        ("riva", "openai", f"openai has no profile 'riva'; {THERE}"),
        (
            "azure",
            "openai:sglang",
            "the dialect openai:sglang already names a profile; name only one profile",
        ),
        ("azure", "klingon", "unknown dialect 'klingon'; choose from *, openai, *"),
        (
            "sglang cost=1",
            "auto",
            "*'cost=1' is not a capability; choose from *",
        ),
        ("sglang vad=perhaps", "auto", "*'vad=perhaps' is not valid; *"),
    ],
)
def test_wrong_profiles(project: Project, words: str, dialect: str, said: str) -> None:
    given = (f"--realtime-profile={words}", f"--realtime-dialect={dialect}")
    result = project.run(*given, target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --realtime-profile: {said}"])


@pytest.mark.slow
def test_the_key_is_sent_in_the_header_of_the_profile(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, token = "hush-hush-hush", "whisper-whisper"
    monkeypatch.setenv("REALTIME_API_KEY", key)
    project.write(SPEAK)
    with FakeServer(
        ["--fault", "shows-key", *SOON], dialect="openai:azure", key=key
    ) as it:
        asked = ("--realtime-profile=azure", "--realtime-report=out.jsonl")
        reported = ("--junitxml=out.xml", "--realtime-rules=off", "-v")
        target = f"{it.url}/?api_key={token}"
        result = project.run(AUTO, *asked, *reported, target=target)
        result.assert_outcomes(passed=2)
        assert len(it.traces()) == 2
    files = [p.read_text() for p in project.path.rglob("out.*")]
    for text in (result.stdout.str(), result.stderr.str(), *files):
        assert key not in text
        assert token not in text


# Session options


OPTIONS = '--realtime-session-options={"turn_detection":"often"}'
UNFIT = "the session options do not fit the dialect openai: turn_detection: *"


@pytest.mark.parametrize("named", ["openai", "auto"])
def test_session_options_that_do_not_fit_the_dialect(
    project: Project, named: str
) -> None:
    project.write(SPEAK)
    with faking(dialect=dialects.load("openai")) as (url, fake):
        given = (OPTIONS, f"--realtime-dialect={named}", "-q")
        result = project.run(*given, target=url)
        assert len(fake.traces()) == (named == "auto")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --realtime-session-options: {UNFIT}"])


def test_session_options_of_a_test_that_do_not_fit_the_dialect(
    project: Project,
) -> None:
    project.write(
        """
@pytest.fixture(scope="session")
def realtime_session_options():
    return {"turn_detection": "often"}

def test_it(realtime): pass
"""
    )
    project.write(
        """
def test_it(realtime, corpus):
    with realtime.connect(options={"turn_detection": "often"}):
        pass
""",
        name="test_own",
    )
    with faking(dialect=dialects.load("openai")) as (url, fake):
        result = project.run("--realtime-dialect=openai", target=url)
        assert not fake.traces()
    result.assert_outcomes(errors=1, failed=1)
    result.stdout.fnmatch_lines([f"*{UNFIT}", f"*OptionsError: {UNFIT}"])


# The same tests on every kind of server

TESTS = """
def test_one(realtime, corpus):
    take = realtime.transcribe(corpus["turn-right"])
    assert "right" in take.text
    assert take.partials[-1] == take.text
    assert not take.violations

@pytest.mark.asyncio
async def test_session(realtime_session, corpus):
    first = await realtime_session.transcribe(corpus["turn-right"])
    again = await realtime_session.transcribe(corpus["open-door"])
    assert first.text != again.text

@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", max="8s")
def test_budget(realtime, corpus):
    realtime.transcribe(corpus["bit"])

@pytest.mark.wer_threshold(0.5)
def test_words(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]], concurrency=2)
"""
ERRORS = """
@pytest.mark.asyncio
async def test_error(realtime_session):
    await realtime_session.send_raw("no json")
    await realtime_session.expect("error")
"""
TURNS = """
@pytest.fixture(scope="session")
def realtime_session_options():
    return {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}}

@pytest.mark.wer_threshold(0.5)
def test_turns(realtime, corpus):
    take = realtime.transcribe(corpus["turn-right"])
    assert take.timeline.endpoints
"""
KINDS = [pytest.param(name, False, id=name) for name in ("vllm", "sglang-omni")]
KINDS += [pytest.param(name, True, id=name) for name in ("openai", "openai-beta")]
PROFILES = {"sglang": "openai", "azure": "openai", "localai": "openai"}
PROFILES |= {"speaches": "openai-beta", "riva": "openai-beta"}
WITHOUT_ERRORS = ("deepgram", "vosk:vosk-reset")  # without events of this type
UNTURNED = ("sglang", "riva")  # they do not detect turns


def passes(project: Project, corpora: Iterable[str], turns: bool, *words: str) -> None:
    """Check that the tests of a project pass unchanged with these options."""
    project.write(TESTS + ERRORS)
    if turns:
        project.write(TURNS, name="test_turns")
    given = [f"--realtime-corpus={each}" for each in corpora]
    project.run(*given, *words, target=None).assert_outcomes(passed=5 + turns)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "turns"), KINDS)
def test_the_same_tests_pass_in_every_dialect(
    project: Project, clips: str, bits: str, name: str, turns: bool
) -> None:
    fake = ("--realtime-target=fake", f"--realtime-fake={' '.join(SOON)}")
    passes(project, (clips, bits), turns, f"--realtime-dialect={name}", *fake)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT_ERRORS)
def test_the_same_tests_pass_in_a_dialect_without_such_errors(
    project: Project, clips: str, bits: str, name: str
) -> None:
    project.write(TESTS)
    given = (f"--realtime-corpus={clips}", f"--realtime-corpus={bits}")
    fake = ("--realtime-target=fake", f"--realtime-fake={' '.join(SOON)}")
    result = project.run(*given, f"--realtime-dialect={name}", *fake, target=None)
    result.assert_outcomes(passed=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILES)
def test_the_same_tests_pass_with_every_profile(
    project: Project, clips: str, bits: str, name: str
) -> None:
    dialect = dialects.load(f"{PROFILES[name]}:{name}")
    with faking(dialect=dialect, models=("m",), word_delay=0.01) as (url, _):
        words = (AUTO, f"--realtime-profile={name}", f"--realtime-target={url}")
        passes(project, (clips, bits), name not in UNTURNED, *words)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "turns"), KINDS)
def test_the_same_tests_pass_with_a_recogniser(
    project: Project, clips: str, bits: str, name: str, turns: bool
) -> None:
    pytest.importorskip("pocketsphinx")
    words = (f"--realtime-dialect={name}", "-orealtime_pace=8")
    passes(project, (clips, bits), turns, "--realtime-target=reference", *words)


# A third-party dialect

HEARD = """
def test_one(realtime, corpus):
    take = realtime.transcribe(corpus["turn-right"])
    assert take.text == "turn right and stop"
    assert take.partials == (
        "turn", "turn right", "turn right and", "turn right and stop", take.text
    )
    assert take.metrics["first_partial_from_audio"] is not None
    assert take.metrics["session_ready"] is None
    assert take.counts.seconds == pytest.approx(corpus["turn-right"].duration, abs=0.1)
    sent = [each for each in take.trace.records if each.span]
    assert len(sent) > 5
    assert {(each.data, each.text) for each in sent} == {(b"", None)}

def test_session(realtime_session, corpus):
    realtime_session.send_raw("hello?")
    realtime_session.expect("error")
    take = realtime_session.transcribe(corpus["open-door"])
    assert take.text == "open the front door"

@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", max="8s")
def test_budget(realtime, corpus):
    realtime.transcribe(corpus["bit"])

@pytest.mark.wer_threshold(0)
def test_words(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]], concurrency=2)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("steno")
def test_a_third_party_dialect(project: Project, clips: str, bits: str) -> None:
    project.write(HEARD)
    given = [f"--realtime-corpus={each}" for each in (clips, bits)]
    given += ["--realtime-dialect=steno", f"--realtime-fake={' '.join(SOON)}"]
    result = project.run(*given, "--junitxml=out.xml", target="fake", apart=True)
    result.assert_outcomes(passed=4)
    assert project.properties()["test_one"]["realtime.dialect"] == "steno"


@pytest.mark.slow
@pytest.mark.usefixtures("steno")
def test_a_faulty_server_of_a_third_party_dialect(project: Project, clips: str) -> None:
    project.write(SPEAK)
    fake = f"--realtime-fake=--fault two-finals --corpus {clips} {' '.join(SOON)}"
    named = ("--realtime-profile=gateway", f"--realtime-corpus={clips}")
    result = project.run(AUTO, *named, fake, target="fake", apart=True)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["ws://*/speech/steno, *"])
    result.stdout.fnmatch_lines(["*rule order ?MUST?: segment came out of order*"])
