"""The reports of a run: JUnit properties, JSON Lines and the table; no secrets."""

from __future__ import annotations

import os
import shlex
import shutil

import pytest

from pytest_realtime_asr.plugin.judging import again
from pytest_realtime_asr.text.redaction import Redactor
from tests.support.project import Faking, Project, Servers, of_vllm

TESTS = """
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", max="5s")
def test_budget(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.wer_threshold(0)
def test_wer(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]])

def test_with_a_name_that_is_longer_than_its_column(realtime_session, corpus):
    realtime_session.transcribe(corpus["turn-right"])
    realtime_session.transcribe(corpus["open-door"])

def test_plain(): pass
"""


@of_vllm
def test_reports(project: Project) -> None:
    project.write(TESTS)
    (project.path / "conftest.py").write_text(
        """
def pytest_runtest_logreport(report):
    for name, value in report.user_properties:
        assert type(name) is str and type(value) in (str, int, float), (name, value)
"""
    )
    result = project.run("--junitxml=out.xml", "--realtime-report=deep/out.jsonl")
    result.assert_outcomes(passed=4)
    found = project.properties()
    assert found["test_plain"] == {}
    budget = found["test_budget"]
    names = {name.removeprefix("realtime.") for name in budget}
    assert names >= {"target", "dialect", "planned", "lost", "wer", "verdict", "proven"}
    assert names >= {
        f"final_from_commit_ms.{key}" for key in ("p50", "p95", "max", "n")
    }
    assert budget["realtime.target"].endswith("/v1/realtime")
    assert budget["realtime.verdict"] == "PASS"
    assert budget["realtime.proven"] == "no"
    assert found["test_wer"]["realtime.final_from_commit_ms.n"] == "2"
    rows = project.rows("deep/out.jsonl")
    assert [row["utterance"] for row in rows] == [
        "turn-right",
        "turn-right",
        "open-door",
        "turn-right",
        "open-door",
    ]
    assert rows[-1]["test"].startswith("test_it.py::test_with_a_name")
    assert rows[0]["text"] == rows[0]["reference"] == "turn right and stop"
    assert rows[0]["metrics"]["final_from_commit"] < 5000
    # The table.
    text = result.stdout.str().partition("= realtime speech recognition =")[2]
    table = text.partition("\\n")[2].partition("\\n====")[0].splitlines()
    assert all(len(line) <= 80 for line in table)
    result.stdout.fnmatch_lines(
        [
            "ws://*, model scripted",
            "*sent lost first p50 final p50 final p95    WER verdict",
            "test_budget * 1    0 * ms * ms * ms * 0.0% PASS",
            "test_wer  * 2    0 * ms * ms * ms * 0.0% PASS",
            "..*its_column * 2    0 * ms * ms * ms * 0.0%",
        ]
    )
    assert "test_plain" not in "\\n".join(table)


def test_a_new_report_replaces_the_earlier_report(project: Project) -> None:
    project.write(
        """
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
    )
    project.ini("realtime_report = out.jsonl")
    for _ in range(2):
        project.run("-o", f"realtime_target={project.url}", target=None)
        assert len(project.rows()) == 1
    for look in ("--collect-only", "--markers", "--help"):
        assert project.run(look).ret == 0
        assert len(project.rows()) == 1


LEFT = """
import os

@pytest.mark.latency_budget("connect", max="5s")
def test_skips_itself(realtime, corpus):
    realtime.transcribe(corpus["bit"])
    pytest.skip("not today")

@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", max="1ms")
@pytest.mark.parametrize("name", ["{long}-a", "{long}-b"])
def test_elsewhere(realtime, corpus, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    realtime.transcribe(corpus["bit"])
"""


def test_the_reports_of_a_test_in_another_folder(project: Project, bits: str) -> None:
    project.write(LEFT.format(long="x" * 120))
    arguments = ("--realtime-report=out.jsonl", f"--realtime-corpus={bits}")
    result = project.run(*arguments, "--junitxml=out.xml")
    result.assert_outcomes(failed=2, skipped=1)
    assert sum(not row["again"] for row in project.rows()) == 3
    assert project.properties()["test_skips_itself"] == {}
    result.stdout.no_fnmatch_line("test_skips_itself *")
    lines = [line for line in result.outlines if line.startswith(" " * 14 + "trace: ")]
    paths = [line.partition("trace: ")[2] for line in lines]
    assert len(set(paths)) == 2
    assert all((project.path / path).is_file() for path in paths)


def test_traces_that_cannot_be_kept(project: Project, bits: str) -> None:
    project.write(LEFT.format(long="x"))
    (project.path / ".pytest_cache").write_text("no folder")
    arguments = ("-k", "elsewhere", f"--realtime-corpus={bits}", "-Wignore")
    result = project.run(*arguments)
    result.assert_outcomes(failed=2, deselected=1)
    result.stdout.fnmatch_lines(
        ["*final_from_commit max = * > 1 ms *", "traces not kept: *", "again: *"] * 2
    )


KEEPS = """
import os
from pathlib import Path
from pytest_realtime_asr.trace.records import read

def test_it(realtime, corpus, realtime_trace_file):
    takes = realtime.transcribe([corpus["bit"], corpus["bit"]])
    paths = [realtime_trace_file(take.trace) for take in takes]
    Path("kept").write_text(" ".join(paths))
    for path, take in zip(paths, takes):
        assert not path or read(Path(path)) == take.trace
    assert "SOUND" in os.environ
"""


def test_the_fixture_realtime_trace_file_keeps_traces(
    project: Project, bits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing test keeps them as well, and the next run replaces them."""
    project.write(KEEPS)

    def kept(*args: str) -> list[str]:
        result = project.run(f"--realtime-corpus={bits}", "-Wignore", *args)
        assert result.ret == ("SOUND" not in os.environ)
        return (project.path / "kept").read_text().split()

    def written() -> set[str]:
        return {str(f.relative_to(project.path)) for f in project.path.rglob("*.jsonl")}

    failed = kept()
    assert len(set(failed)) == 2
    assert set(failed) < written()  # beside those of the failure
    monkeypatch.setenv("SOUND", "1")
    passed = kept()
    assert set(passed) == written()  # those of the earlier run are gone
    assert set(failed).isdisjoint(passed)
    assert all(name.endswith("-bit.jsonl") for name in passed)
    assert kept("-p", "no:cacheprovider") == []
    shutil.rmtree(project.path / ".pytest_cache")
    (project.path / ".pytest_cache").write_text("no folder")
    assert kept() == []


def test_the_rerun_command_selects_only_the_test() -> None:
    given = {
        "target": "fake",
        "conformance": True,
        "report": ["out.jsonl"],
        "plan": True,
        "list": "options",
        "level": "must",
        "strict": True,
        "known-failures": "known.toml",
        "allow": "heavy,disruptive",
    }
    found = again(
        ["pytest"], lambda option: given.get(option.name), ["a.py::test"], Redactor()
    )
    assert found == (
        "pytest --realtime-target=fake --realtime-level=must --realtime-strict "
        "--realtime-known-failures=known.toml --realtime-allow=heavy,disruptive "
        "a.py::test"
    )


def test_the_rerun_command_shows_no_secret() -> None:
    given = {
        "target": "http://bob:hunter2@host:1?key=hunter2",
        "proxy": "http://bob:hun@ter2/hunter2@proxy:3128",
        "baseline-target": "http://bob:hunter2@other:1?key=hunter2",
        "session-options": '{"prompt": "hunter2"}',
        "api-key-command": "key --token=hunter2",
        "header": ["X-A=TOKEN", "X-B=correct-horse"],
        "insecure": True,
        "report": ["out.jsonl"],
    }
    words = ["test_it.py::test_it[correct-horse]"]
    found = again(
        ["pytest"],
        lambda option: given.get(option.name),
        words,
        Redactor(["correct-horse"]),
    )
    assert found == (
        "pytest --realtime-target=http://host:1 --realtime-session-options=... "
        "--realtime-api-key-command=... "
        "--realtime-header=X-A=TOKEN '--realtime-header=X-B=[removed]' "
        "--realtime-insecure --realtime-proxy=http://proxy:3128 "
        "--realtime-baseline-target=http://other:1 "
        "'test_it.py::test_it[[removed]]'"
    ).replace("'--realtime-header=X-B=[removed]'", "--realtime-header='X-B=[removed]'")


BELOW = """
import pytest

pooled = pytest.mark.budget("normalized_erasure", at_least=5, over="module")

@pytest.mark.parametrize("name", ["a::b"])
def test_own(realtime, corpus, name):
    realtime.transcribe(corpus["turn-right"])
    assert not name

@pooled
def test_pooled(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pooled
def test_last(realtime): pytest.skip("x")
"""


@pytest.mark.parametrize("options", [(), ("-c", "below/other.ini"), ("--rootdir=.",)])
def test_the_command_runs_the_test_again_where_pytest_was_started(
    project: Project, clips: str, options: tuple[str, ...]
) -> None:
    folder = project.path / "below"
    folder.mkdir()
    for name in ("pytest.ini", "other.ini"):
        text = (project.path / "pytest.ini").read_text()
        (folder / name).write_text(text)
    (project.path / "pytest.ini").unlink()
    (folder / "test_it.py").write_text(BELOW)
    result = project.run(f"--realtime-corpus={clips}", *options, "below")
    result.assert_outcomes(passed=1, failed=1, errors=1, skipped=1)
    # Where CI is set, pytest prints the whole of a failure in its summary as well.
    told = dict.fromkeys(result.outlines)
    commands = [each for each in told if each.startswith("again: ")]
    assert len(commands) == 2
    for command, name in zip(commands, ("test_it.py", "test_own[a::b]"), strict=True):
        _, _, *words = shlex.split(command)
        assert words[-1].endswith(name)
        repeated = project.run(*words, target=None)
        assert command in repeated.outlines


@pytest.mark.parametrize("args", [("-p", "no:terminal"), ("-k", "plain or session")])
def test_no_table(project: Project, args: tuple[str, str]) -> None:
    project.write(
        """
def test_measured(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

def test_session(realtime_session): pass

def test_plain(): pass
"""
    )
    result = project.run(*args)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*realtime speech recognition*")


def test_lost_sessions_in_reports(project: Project, faulty: Faking) -> None:
    project.write(
        """
def test_it(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["turn-right"]])

def test_caught(realtime, corpus):
    with pytest.raises(Lost, match="1011") as caught:
        realtime.transcribe(corpus["turn-right"])
    assert caught.value.how == "closed"

def test_caught_in_a_session(realtime_session, corpus):
    with pytest.raises(Lost):
        realtime_session.transcribe(corpus["turn-right"])
"""
    )
    url = faulty("close")
    arguments = ("--junitxml=out.xml", "--realtime-report=out.jsonl")
    result = project.run(*arguments, target=url)
    result.assert_outcomes(passed=2, failed=1)
    said = "2 of 2 utterances have no final; turn-right closed: *code 1011*"
    result.stdout.fnmatch_lines([said, "test_it * 2    2 *"])
    assert [row["lost"] for row in project.rows()] == ["closed"] * 4
    found = project.properties()["test_it"]
    assert (found["realtime.planned"], found["realtime.lost"]) == ("2", "2")


@of_vllm
def test_nothing_secret(
    project: Project, faulty: Faking, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ("correct-horse", "battery-staple", "in-the-query")
    project.write(
        """
import os

@pytest.mark.latency_budget("final_from_commit", max="1ms")
def test_budget(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

def test_said(realtime_session):
    realtime_session.send_raw({"type": os.environ["OWN_KEY"]})
    realtime_session.expect("error")
    assert not realtime_session.trace

def test_lost(realtime, corpus):
    with realtime.connect(model=os.environ["TOKEN"]) as session:
        session.transcribe(corpus["turn-right"])

def test_refused(realtime):
    realtime.transcribe(3)
"""
    )
    monkeypatch.setenv("OWN_KEY", secrets[0])
    monkeypatch.setenv("REALTIME_API_KEY", secrets[0])
    monkeypatch.setenv("TOKEN", secrets[1])
    url = faulty(key=secrets[0]).replace("http:", "ws:")
    result = project.run(
        "-vv",
        "-l",
        "--junitxml=out.xml",
        "--realtime-report=out.jsonl",
        "--realtime-header=X-Token=TOKEN",
        "-o",
        f"realtime_target={url}/v1/realtime?key={secrets[2]}",
        target=None,
    )
    result.assert_outcomes(failed=4)
    texts = [path.read_bytes() for path in project.path.rglob("*") if path.is_file()]
    texts += [result.stdout.str().encode()]
    assert any(b'"vantage":"client"' in text for text in texts)
    body = b"\\n".join(texts)
    assert [secret for secret in secrets if secret.encode() in body] == []


@pytest.mark.slow
def test_a_fake_server_started_by_hand_equals_the_target_fake(
    project: Project, servers: Servers
) -> None:
    project.write(
        """
def test_right(realtime, corpus):
    assert realtime.transcribe(corpus["turn-right"]).text == "turn right and stop"

def test_other(realtime, corpus):
    assert realtime.transcribe(corpus["open-door"]).text == "turn right"
"""
    )

    def outcomes(target: str) -> list[tuple[str, str]]:
        project.run("--realtime-report=out.jsonl", target=target).assert_outcomes(
            passed=1, failed=1
        )
        return [(row["utterance"], row["text"]) for row in project.rows()]

    assert outcomes("fake") == outcomes(servers().url)


def test_the_colours_of_pytest_are_kept(project: Project) -> None:
    project.write(
        """
def test_it(realtime_session):
    assert "one two" == "one three"

def test_own(realtime_session):
    raise ValueError("\\x1b[2Jgone\\x1b[31m")
"""
    )
    result = project.run("--color=yes")
    result.assert_outcomes(failed=2)
    told = result.stdout.str()
    assert "\x1b[" in told
    assert "\\x1b[0m" not in told
    assert "\\x1b[2Jgone" in told  # what moves the cursor is written out
    assert "\x1b[2J" not in told
    result = project.run("--color=no")
    assert "\x1b" not in result.stdout.str()


def test_a_report_that_is_not_written_is_noted(project: Project) -> None:
    project.write(
        """
def test_it(realtime_session):
    assert realtime_session.id

def test_other(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
    )
    reports = ("--realtime-report=out.jsonl", "--realtime-report=conformance:out.json")
    result = project.run(*reports, "-k", "not test_other")
    result.stdout.fnmatch_lines(
        [
            "realtime: *out.jsonl: the report is not written, since no test has *",
            "realtime: *out.json: the report is not written, since no requirement *",
        ]
    )
    assert not (project.path / "out.jsonl").exists()
    result = project.run(reports[0])
    result.stdout.no_fnmatch_line("*is not written*")
    assert (project.path / "out.jsonl").exists()
