"""The fixtures: their values, the sessions of a test, and the modules they load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import Faking, Project, of_vllm

HEADER = ("kept_calibration", "target_name")
LOADED = """
import sys, pytest
assert pytest.main(sys.argv[1:]) == 0
print("modules:", *sys.modules)
"""


def modules(project: Project, *args: str) -> set[str]:
    """Return the modules that a run of the project has loaded."""
    result = subprocess.run(
        [sys.executable, "-c", LOADED, "-p", "no:cacheprovider", *args],
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=project.path,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.rpartition("modules:")[2].split())


def test_a_run_without_realtime_tests_loads_few_modules(project: Project) -> None:
    (project.path / "pytest.ini").unlink()
    (project.path / "test_it.py").write_text("def test_it(): pass")
    added = modules(project, "-p", "pytest_realtime_asr.plugin") - modules(project)
    own = {name for name in added if name.startswith("pytest_realtime_asr")}
    assert len(own) <= 7
    roots = {name.partition(".")[0] for name in added}
    assert not roots & {"asyncio", "numpy", "websockets", "msgspec", "jiwer", "scipy"}


def test_the_header_of_a_run_without_realtime_tests_loads_few_modules(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.path / "pytest.ini").unlink()
    (project.path / "test_it.py").write_text("def test_it(): pass")
    kept = project.path / ".pytest_cache" / "v" / "realtime" / "calibration"
    kept.parent.mkdir(parents=True)
    kept.write_text(
        '{"line": "calibrated", "made": "2026-01-01T00:00:00Z", "machine": "one, x"}'
    )
    monkeypatch.setenv("REALTIME_TARGET", "ws://127.0.0.1:1/v1/realtime")
    given = ("-p", "cacheprovider", "-p", "pytest_realtime_asr.plugin")
    loaded = modules(project, *given)
    assert {f"pytest_realtime_asr.plugin.{n}" for n in HEADER} <= loaded
    assert not loaded & {"numpy", "websockets", "pytest_realtime_asr.plugin.state"}


def test_a_run_with_options_but_no_realtime_test_makes_no_judge(
    project: Project,
) -> None:
    project.ini("realtime_rules = must")
    (project.path / "conftest.py").write_text(
        """
def pytest_sessionfinish(session):
    state = session.config.pluginmanager.getplugin("realtime-plugin").used_state
    print("judging:", state.has_judging)
"""
    )
    (project.path / "test_it.py").write_text("def test_it(): pass")
    result = project.run("-s", target=None)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines("*judging: False*")


@of_vllm
def test_the_three_examples(project: Project, clips: str) -> None:
    clip = str(Path(clips).with_name("turn-right.wav"))
    project.write(
        """
@pytest.mark.latency_budget("final_from_commit", p95="2s")
@pytest.mark.wer_threshold(0.12)
def test_commands(realtime, corpus):                          # a plain function
    realtime.transcribe(corpus)

@pytest.mark.asyncio
async def test_second_utterance(realtime_session, corpus):    # a connected session
    first = await realtime_session.transcribe(corpus["turn-right"])
    again = await realtime_session.transcribe(corpus["open-door"])
    assert first.text != again.text

@pytest.mark.asyncio
async def test_commit_before_update(realtime):
    async with realtime.connect(configure=False) as session:
        await session.send_raw({"type": "input_audio_buffer.commit"})
        assert (await session.expect("error")).code == "model_not_validated"
"""
    )
    (project.path / "one.jsonl").write_text(
        Path(clips).read_text().splitlines()[0].replace("turn-right.wav", clip)
    )
    one = "--realtime-corpus=one.jsonl"
    arguments = ("--realtime-pace=1", one, "-k", "commands")
    project.run(*arguments).assert_outcomes(passed=1, deselected=2)
    project.run("-k", "not commands").assert_outcomes(passed=2, deselected=1)


@of_vllm
def test_the_fields_of_a_transcription(project: Project) -> None:
    project.write(
        """
def test_one(realtime, corpus):
    take = realtime.transcribe(corpus["turn-right"])
    assert take.text == take.partials[-1] == take.utterance.text
    assert take.usage.completion == 4
    assert take.metrics["final_from_commit"] > 0
    assert take.timeline.final.text == take.text
    assert take.trace.records
    assert not take.violations and not take.lost

def test_several(realtime, corpus):
    given = [corpus["turn-right"], corpus["open-door"], corpus["turn-right"]]
    takes = realtime.transcribe(given, concurrency=3)
    assert [take.text for take in takes] == [each.text for each in given]
    assert len({take.session for take in takes}) == 3

def test_what_it_knows(realtime, realtime_target):
    assert realtime.target.endswith("/v1/realtime")
    assert (realtime.model, realtime.dialect) == ("scripted", "vllm")

def test_what_expect_passes_over_is_kept(realtime_session, corpus):
    take = realtime_session.transcribe(corpus["turn-right"])
    done = realtime_session.expect("transcription.done")
    assert done.text == take.text
    with pytest.raises(Lost, match="waited"):
        realtime_session.expect("transcription.done", timeout=0.2)
    assert realtime_session.timeline.session == realtime_session.id

def test_concurrency(realtime, corpus):
    with pytest.raises(ValueError, match="1 or more"):
        realtime.transcribe(corpus, concurrency=0)
"""
    )
    project.run().assert_outcomes(passed=5)


def test_utterance(project: Project, clips: str) -> None:
    project.write(
        """
@pytest.mark.wer_threshold(0)
def test_each(realtime, utterance):
    realtime.transcribe(utterance)

@pytest.mark.parametrize("utterance", ["mine"])
def test_own(utterance):
    assert utterance == "mine"
"""
    )
    result = project.run("-v", f"--realtime-corpus={clips}")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines_random(
        ["*::test_each?turn-right? PASSED*", "*::test_each?open-door? PASSED*"]
    )


def test_a_fixture_of_the_same_name(project: Project, bits: str) -> None:
    project.write(
        """
@pytest.fixture(params=[1, 2])
def utterance(request):
    return request.param

def test_theirs(utterance):
    assert utterance in (1, 2)
"""
    )
    project.write(
        """
@pytest.fixture
def utterance(utterance):
    return utterance.id

@pytest.mark.parametrize("count", [1, 2])
def test_made_from_ours(utterance, count):
    assert utterance in ("bit", "bob")
""",
        name="test_made",
    )
    project.write(
        """
@pytest.mark.parametrize(["utterance", "count"], [("mine", 1)])
def test_list(utterance, count): assert utterance == "mine"

@pytest.mark.parametrize(argnames="count, utterance", argvalues=[(1, "mine")])
def test_keyword(utterance, count): assert utterance == "mine"
""",
        name="test_parametrized",
    )
    project.run(f"--realtime-corpus={bits}", target=None).assert_outcomes(passed=8)


@of_vllm
def test_a_fixture_requested_by_getfixturevalue(project: Project) -> None:
    project.write(
        """
def test_in_time(request):
    corpus = request.getfixturevalue("corpus")
    request.getfixturevalue("realtime").transcribe([corpus["turn-right"]])

@pytest.fixture(params=["realtime"])
def server(request):
    return request.getfixturevalue(request.param)

def test_refused(server):
    session = server.connect(configure=False).open()
    session.send_raw({"type": "input_audio_buffer.commit"})
    session.expect("error")
"""
    )
    result = project.run("--realtime-report=out.jsonl")
    result.assert_outcomes(passed=2)
    assert [row["test"] for row in project.rows()] == ["test_it.py::test_in_time"]


@of_vllm
def test_a_session_left_open_is_closed_and_judged(
    project: Project, faulty: Faking
) -> None:
    project.write(
        """
def test_left(realtime, corpus):
    global session
    session = realtime.connect().open()
    session.transcribe(corpus["turn-right"])

def test_closed():
    assert session.trace.end.how.value == "closed by us"
    with pytest.raises(Exception):
        session.send_raw("{}")
"""
    )
    result = project.run(target=faulty("lost-delta"))
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*_ test_left _*", "rule deltas-add-up*"])


def test_every_session_is_closed_at_the_end_of_its_test(project: Project) -> None:
    project.write(
        """
@pytest.fixture
def late(realtime, corpus):
    yield
    realtime.transcribe(corpus["turn-right"])

def test_it(late):
    pass
"""
    )
    project.write(
        """
kept = []

def test_first(realtime):
    kept[:] = [realtime, realtime.connect().open()]

def test_fixture(corpus):
    kept[0].transcribe(corpus["turn-right"])

def test_session(corpus):
    kept[1].transcribe(corpus["turn-right"])

def test_connect():
    with kept[0].connect(): pass
""",
        name="test_kept",
    )
    result = project.run()
    result.assert_outcomes(passed=2, failed=3, errors=1)
    result.stdout.fnmatch_lines("*test_it has ended*")
    said = "E  *test_kept.py::test_first has ended, * request the fixture in each *"
    for name in ("test_fixture", "test_session", "test_connect"):
        result.stdout.fnmatch_lines([f"*_ {name} _*", said])
    result.stdout.no_fnmatch_line("*pytest_realtime_asr/*.py*")  # none of our frames


def test_a_test_that_raises_keeps_its_own_failure(
    project: Project, faulty: Faking
) -> None:
    project.write(
        """
@pytest.mark.latency_budget("final_from_commit", max="1ms")
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
    raise ZeroDivisionError("the body's own")

@pytest.mark.xfail(raises=ZeroDivisionError, strict=True)
def test_expected(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
    raise ZeroDivisionError
"""
    )
    result = project.run(target=faulty("lost-delta"))
    result.assert_outcomes(failed=1, xfailed=1)
    result.stdout.fnmatch_lines("E * ZeroDivisionError: the body's own")
    result.stdout.no_fnmatch_line("Failed: *")


@pytest.mark.slow
def test_the_fixture_fake_server(project: Project, clips: str) -> None:
    project.write(
        f"""
def test_it(fake_server):
    from pytest_realtime_asr import FakeServer
    import urllib.request

    server = fake_server(corpus=[{clips!r}], final_delay="50ms", faults=["echo"])
    assert isinstance(server, FakeServer)
    assert urllib.request.urlopen(server.url + "/health").status == 200
    assert server.traces() == server.violations() == ()
    server._output.file.write(b"a complaint of the server")
    server._output.file.flush()
"""
    )
    result = project.run("-rA", target=None)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*Captured stderr teardown*", "a complaint of the *"])


@pytest.mark.slow
def test_a_redefined_fixture_starts_the_server(project: Project, clips: str) -> None:
    (project.path / "conftest.py").write_text(
        f"""
import pytest
from pytest_realtime_asr import FakeServer

@pytest.fixture(scope="session")
def realtime_target():
    with FakeServer(["--corpus", {clips!r}]) as server:
        yield server.url

@pytest.fixture(scope="session")
def realtime_session_options():
    return {{"language": "xx"}}
"""
    )
    project.write(
        """
def test_it(realtime, corpus):
    take = realtime.transcribe(corpus["turn-right"])
    sent = [record.text for record in take.trace.records if record.text]
    assert any('"language":"xx"' in text.replace(" ", "") for text in sent)

def test_where(realtime, pytestconfig):
    wanted = pytestconfig.getoption("realtime_target")
    assert not wanted or realtime.target == wanted
"""
    )
    arguments = ("--realtime-conformance", "-k", "test_it or test_where or one-final")
    corpus = f"--realtime-corpus={clips}"
    project.run(".", *arguments, corpus, target=None).assert_outcomes(passed=3)
    other = project.url.replace("http", "ws") + "/v1/realtime"
    project.run("-k", "where", target=other).assert_outcomes(passed=1)
