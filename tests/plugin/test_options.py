"""Options: where they are set, their precedence, and messages for wrong values."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr import audio, dialects
from pytest_realtime_asr.trace.records import Sender
from tests.support.project import DIALECT, Project, of_vllm

TARGET = """
def test_it(realtime_target):
    print("target:", realtime_target)
"""


def test_precedence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(TARGET)

    def said(*args: str) -> str:
        result = project.run("-s", *args, target=None)
        (line,) = (line for line in result.outlines if "target:" in line)
        return line.rpartition("target: ")[2].rstrip(".")

    monkeypatch.setenv("REALTIME_TARGET", "environment:1")
    assert said() == "environment:1"
    project.ini("realtime_target = ini:1")
    assert said() == "ini:1"
    assert said("--realtime-target=line:1") == "line:1"


@of_vllm
def test_the_command_line_overrides_markers_and_fixtures(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        """
import pytest

@pytest.fixture(scope="session")
def realtime_session_options():
    return {"language": "fixture"}
"""
    )
    project.write(
        """
@pytest.mark.realtime(pace=0.001, chunk="50ms")
def test_it(realtime, corpus):
    take = realtime.transcribe(corpus["turn-right"])
    assert take.metrics["final_from_commit"] < 60_000
    sent = [record for record in take.trace.records if record.span]
    assert sent[0].span.stop == 800  # 50 ms, as the marker says
    assert any("line" in (record.text or "") for record in take.trace.records)
"""
    )
    options = '--realtime-session-options={"language": "line"}'
    project.run("--realtime-pace=8", options).assert_outcomes(passed=1)


@pytest.mark.parametrize("value", ["['language']", "{'language': object()}", "None"])
def test_wrong_session_options_name_their_fixture(project: Project, value: str) -> None:
    (project.path / "conftest.py").write_text(
        f"""
import pytest

@pytest.fixture
def realtime_session_options(): return {value}
"""
    )
    project.write("def test_it(realtime): pass")
    result = project.run()
    result.assert_outcomes(errors=1)
    place = "; see the fixture realtime_session_options (conftest.py:4)"
    result.stdout.fnmatch_lines([f"realtime: the session options do not fit *{place}"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("pace=fast", "*--realtime-pace: *fast*"),
        ("pace=-1", "*--realtime-pace: *1.0 for real time*"),
        ("chunk=100", "*--realtime-chunk: *'800ms'*"),
        (
            "rules=all",
            "*--realtime-rules: 'all' is not a level; choose from must, should and off",
        ),
        ("warmup=few", "*--realtime-warmup: *neither auto nor a number*"),
        ("timeout=-3", "*--realtime-timeout: *"),
        ("session-options=[1]", "*options: the value is not a JSON object*"),
        ("header=X-Token", "*--realtime-header: *X-Token=MY_VARIABLE"),
        ("header=X=NO_SUCH", "*--realtime-header: *for the header X is not set; *"),
        ("report=out.doc", "*--realtime-report: *write PATH.jsonl, *"),
        (
            "level=all",
            "*--realtime-level: 'all' is not a level; choose from must, should "
            "and info",
        ),
        (
            "suite=mine",
            "*--realtime-suite: 'mine' is not a pinned suite; choose from *vllm-*",
        ),
        ("known-failures=no.toml", "*--realtime-known-failures: *no.toml*"),
        ("server-version=new", "*--realtime-server-version: 'new' is not a version*"),
        (
            "allow=all",
            "*--realtime-allow: 'all' is not a kind of harm; choose "
            "heavy or disruptive*",
        ),
        ("max-audio=much", "*--realtime-max-audio: 'much' is not a duration*"),
        (
            "max-streams=0",
            "*--realtime-max-streams: '0' is not a whole number from 1*",
        ),
        ("fuzz=-1", "*--realtime-fuzz: '-1' is not a whole number from 0 to *"),
        ("corpus=x.jsonl", "*--realtime-corpus: *x.jsonl: there is no such file*"),
        ("corpus=bundled:no", "*--realtime-corpus: bundled:no: *bundled:english*"),
        ("dialect=klingon", "*--realtime-dialect: *klingon*vllm*"),
    ],
)
def test_wrong_options(project: Project, wrong: str, said: str) -> None:
    project.write("def test_plain(): pass")
    result = project.run(f"--realtime-{wrong}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_wrong_ini(project: Project) -> None:
    project.ini("realtime_chunk = long")
    result = project.run(target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*realtime_chunk in the ini file: *"])


def test_without_a_target(project: Project) -> None:
    project.write(
        """
def test_one(realtime): pass
def test_session(realtime_session): pass
@pytest.mark.wer_threshold(0.1)
def test_marked(realtime, corpus): pass
def test_plain(corpus): assert corpus["turn-right"].words[0].text == "turn"
"""
    )
    result = project.run("--realtime-conformance", "test_it.py", target=None)
    binding = [
        each
        for each in dialects.load(DIALECT).requirements
        if each.binds is Sender.SERVER
    ]
    # Of the suite, the first requirement says what is missing.
    result.assert_outcomes(passed=1, failed=1, skipped=len(binding) - 1, errors=3 + 1)
    said = "no server to test: pass --realtime-target=URL (or fake or reference*"
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("realtime: *")


@of_vllm
def test_header(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("def test_plain(): pass")
    line = "realtime: ws://*/v1/realtime, vllm, model scripted, corpus bundled:odd"
    project.run("--realtime-corpus=bundled:odd").stdout.fnmatch_lines([line])
    project.run("-q").stdout.no_fnmatch_line("realtime: *")
    # One that is always there is not asked by a run that may have no use for it.
    monkeypatch.setenv("REALTIME_TARGET", "ws://127.0.0.1:1/path?key=secret")
    line = "realtime: ws://127.0.0.1:1/path"
    monkeypatch.setenv("REALTIME_PACE", "fast")  # nor is the rest
    project.run(target=None).stdout.fnmatch_lines([line])
    monkeypatch.setenv("REALTIME_TARGET", "http://bob:hunter2@host:1")
    result = project.run(target=None)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["realtime: a target must not contain a user or password; *"]
    )
    result.stdout.no_fnmatch_line("*hunter2*")


@pytest.mark.slow
def test_a_fake_server_needs_no_warm_up(project: Project) -> None:
    project.write(
        """
def test_it(realtime, corpus):
    assert realtime.transcribe(corpus["turn-right"]).text == "turn right and stop"
"""
    )
    auto = "--realtime-warmup=auto"
    asked = "--realtime-fake=--final-delay 20ms"
    result = project.run(auto, asked, target="fake")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*cold final*")
    project.run(auto).stdout.fnmatch_lines(["ws://*, cold final * ms*"])


@of_vllm
def test_the_version_of_the_server(project: Project) -> None:
    project.write(
        """
def test_it(realtime, corpus):
    print("version:", realtime.transcribe(corpus["turn-right"]).trace.version)
"""
    )

    def said(*args: str) -> str:
        result = project.run("-s", *args)
        (line,) = (line for line in result.outlines if "version:" in line)
        return line.rpartition("version: ")[2].rstrip(".")

    assert said() == "0.33.0"  # as it says itself
    assert said("--realtime-server-version=v0.22") == "0.22"


@of_vllm
def test_the_server_reports_an_unknown_model(project: Project) -> None:
    project.write(
        """
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
    )
    result = project.run("--realtime-model=whisper-none")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Lost: refused: *`whisper-none` does not exist*"])


def test_wrong_corpus(project: Project) -> None:
    (project.path / "wrong.jsonl").write_text('{"audio": 3}\n')
    project.write(
        """
def test_corpus(realtime, corpus): pass
def test_plain(): pass
"""
    )
    project.write("def test_each(realtime, utterance): pass", name="test_each")
    result = project.run(
        "--realtime-corpus=wrong.jsonl", "--continue-on-collection-errors"
    )
    result.assert_outcomes(passed=1, errors=2)
    said = "*--realtime-corpus: *wrong.jsonl:1: *"
    result.stdout.fnmatch_lines([said, said])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*plugin.py:*")  # nor one in pytest's own form
    project.ini("realtime_corpus = wrong.jsonl")
    said = "realtime_corpus in the ini file: *wrong.jsonl:1: *"
    project.run("test_each.py").stdout.fnmatch_lines([said])


def test_a_wrong_flag_in_the_environment_ends_no_run_without_the_plugin(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("def test_plain(): pass")
    monkeypatch.setenv("REALTIME_PLAN", "maybe")
    said = (
        "the environment variable REALTIME_PLAN: 'maybe' is neither true nor false; "
        "write true or false"
    )
    result = project.run(target=None)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"realtime: {said}; the option counts as not set"])
    project.write("def test_it(realtime_target): pass")
    result = project.run(target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
    project.ini("realtime_conformance = x")
    result = project.run(target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = (
        "realtime_conformance in the ini file: 'x' is neither true nor false; "
        "write true or false"
    )
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


def test_a_target_of_a_wrong_type_is_reported_in_one_line(project: Project) -> None:
    for name, value in (("none", "None"), ("bytes", "b'a:1'"), ("list", "['a:1']")):
        project.write(
            f"""
import pytest

@pytest.fixture(scope="module")
def realtime_target():
    return {value}

def test_it(realtime): pass
""",
            name=f"test_{name}",
        )
    result = project.run("test_none.py", "test_bytes.py", "test_list.py", target=None)
    result.assert_outcomes(errors=3)
    form = (
        "realtime target: the fixture realtime_target returned {}; it should return a "
        "URL, *"
    )
    result.stdout.fnmatch_lines(
        [form.format(each) for each in ("None", "b'a:1'", "[[]'a:1']")]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*plugin.py:*")


def test_a_broken_audio_file_is_one_line_before_the_first_session(
    project: Project,
) -> None:
    audio.write(project.path / "a.flac", audio.silence(2.0))
    content = (project.path / "a.flac").read_bytes()
    (project.path / "a.flac").write_bytes(content[:-20])
    (project.path / "a.txt").write_text("go on")
    project.write(
        """
def test_it(realtime, corpus):
    realtime.transcribe(corpus["a"])
"""
    )
    result = project.run("--realtime-corpus=.", "--realtime-warmup=1")
    result.assert_outcomes(errors=1)
    said = f"*--realtime-corpus: {project.path / 'a.flac'}: the audio is broken or *"
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*plugin.py:*")


def test_a_key_in_place_of_another_option_is_not_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_KEY", "sk-correct-horse-battery")
    project.write("def test_it(realtime): pass")
    asked = (
        "--realtime-api-key-env=OWN_KEY",
        "--realtime-pace=sk-correct-horse-battery",
    )
    result = project.run(*asked)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = result.stderr.str() + result.stdout.str()
    assert "--realtime-pace: a pace of '[removed]'" in told
    assert "correct-horse" not in told


def test_a_report_in_place_of_the_corpus_is_refused(
    project: Project, clips: str
) -> None:
    before = Path(clips).read_bytes()
    project.write("def test_it(realtime, corpus): realtime.transcribe(corpus)")
    named = (f"--realtime-corpus={clips}", f"--realtime-report={clips}")
    result = project.run(*named)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = (
        "*--realtime-corpus: --realtime-report would overwrite this file; write the "
        "report to another path"
    )
    result.stderr.fnmatch_lines([said])
    assert Path(clips).read_bytes() == before
