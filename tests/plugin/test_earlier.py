"""Earlier reports: moved aside by a run that measures, unchanged by other runs."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_realtime_asr.plugin import pytest_internals, termination
from pytest_realtime_asr.report.files import ReportFile
from tests.support.project import Project, of_vllm
from tests.support.servers import closed

ASKED = "--realtime-conformance"
EARLIER = {"out.jsonl": b'{"precious":1}\n', "out.json": b'{"precious": 2}'}
MEASURES = """
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
LATE = """
def test_late(request):
    request.getfixturevalue("realtime").connect().open()
"""
# The arguments of runs that measure nothing.
IDLE = {
    "plan": (ASKED, "--realtime-plan"),
    "fixtures": ("--fixtures",),
    "fixtures-per-test": ("--fixtures-per-test",),
    "setup-plan": ("--setup-plan", "test_it.py"),
    "collect-only": ("--collect-only",),
    "cache-show": ("--cache-show",),
    "mistyped-path": ("test_typo.py",),
    "nothing-selected": ("-k", "nothing"),
    "wrong-corpus": ("--realtime-corpus=nowhere", "test_it.py"),
    "dead-server": ("test_it.py",),
    "suite-on-a-dead-server": (ASKED, "-k", "created-now"),
    "suite-without-a-test": (ASKED, "-k", "no_such_rule"),
    "another-test": ("test_other.py",),
    "broken-test-file": ("test_broken.py",),
    "wrong-option": ("--realtime-pace=fast",),
    "wrong-session-options": ("--realtime-session-options=nonsense",),
}


def earlier(folder: Path) -> None:
    for name, content in EARLIER.items():
        (folder / name).write_bytes(content)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith("out.")}


@pytest.fixture(autouse=True)
def _default_handler() -> Iterator[None]:
    """Set the default signal handlers, which this pytest run may have replaced."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def reporting(project: Project) -> Project:
    """Return a project whose ini file names both kinds of report; both exist."""
    earlier(project.path)
    project.ini("realtime_report =\n  out.jsonl\n  conformance:out.json")
    project.write(MEASURES)
    return project


def test_runs_that_measure_nothing_leave_earlier_reports(reporting: Project) -> None:
    reporting.write("def test_other(): pass", name="test_other")
    reporting.write("nonsense(", name="test_broken")
    with closed() as port:
        for kind, words in IDLE.items():
            plan = ("--ignore=test_broken.py",) if "broken" not in kind else ()
            dead = f"ws://127.0.0.1:{port}"
            result = reporting.run(*words, *plan, target=dead)
            found = {
                name: (reporting.path / name).read_bytes()
                for name in names(reporting.path)
            }
            assert found == EARLIER, (kind, result.outlines)
            passed = any(" passed in " in line for line in result.outlines)
            assert passed == (kind == "another-test"), kind


def test_a_run_that_measures_keeps_the_earlier_report(reporting: Project) -> None:
    result = reporting.run()
    result.assert_outcomes(passed=1)
    assert names(reporting.path) == {"out.jsonl", "out.jsonl.1", "out.json"}
    assert len(reporting.rows()) == 1
    kept = reporting.path / "out.jsonl.1"
    assert kept.read_bytes() == EARLIER["out.jsonl"]
    told = "*out.jsonl: the earlier report was moved to *out.jsonl.1"
    result.stdout.fnmatch_lines([told])
    result.stdout.no_fnmatch_line("*out.json: *")


@of_vllm
def test_the_result_of_the_suite_keeps_the_earlier_one(reporting: Project) -> None:
    result = reporting.run(ASKED, "-k", "created-now")
    assert result.ret == 0
    found = json.loads((reporting.path / "out.json").read_text())
    assert [row["status"] for row in found["requirements"]] == ["satisfied"]
    kept = reporting.path / "out.json.1"
    assert kept.read_bytes() == EARLIER["out.json"]
    result.stdout.fnmatch_lines(["*out.json: the earlier report was moved to *.1"])


def test_a_second_run_on_a_report_is_refused(reporting: Project) -> None:
    first = ReportFile(reporting.path / "out.json")
    first.lock()
    refused = reporting.run()
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    told = "ERROR: --realtime-report=*out.json: another run is writing *; wait *"
    refused.stderr.fnmatch_lines([told])
    reporting.write("def test_other(): pass", name="test_other")
    reporting.run("test_other.py").assert_outcomes(passed=1)  # it writes none
    reporting.write(LATE, name="test_late")
    late = reporting.run("test_late.py")
    late.assert_outcomes(failed=1)
    late.stdout.fnmatch_lines(["--realtime-report=*: another run is writing *; wait *"])
    first.release()
    reporting.run().assert_outcomes(passed=3)
    assert not list(reporting.path.glob(".*-lock"))


@pytest.mark.parametrize("compared", ["out.jsonl", "out.jsonl.1"])
def test_the_report_of_a_comparison_is_not_overwritten(
    reporting: Project, compared: str
) -> None:
    (reporting.path / compared).touch()
    result = reporting.run(f"--realtime-compare={compared}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--realtime-compare: --realtime-report would over*"])


def test_a_damaged_line_is_reported_once(project: Project) -> None:
    project.write(MEASURES)
    project.run("--realtime-report=before.jsonl").assert_outcomes(passed=1)
    with (project.path / "before.jsonl").open("a") as file:
        file.write("nonsense\n")  # after the lines of run, utterance and end
    result = project.run("--realtime-compare=before.jsonl", "-Wignore")
    result.assert_outcomes(passed=1)
    told = [line for line in result.outlines if "line 4 is skipped" in line]
    assert len(told) == 1
    assert told[0].startswith("realtime: --realtime-compare: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("kind", ["jsonl", pytest.param("conformance", marks=of_vllm)])
def test_a_full_disk_is_reported_once_and_the_tests_are_judged(
    project: Project, kind: str
) -> None:
    project.write(
        """
@pytest.mark.parametrize("number", range(3))
def test_it(realtime, corpus, number):
    realtime.transcribe(corpus["turn-right"])
"""
    )
    asked = () if kind == "jsonl" else (ASKED, "-k", "created-now")
    report = f"--realtime-report={kind}:/dev/full"
    result = project.run(report, "-Werror", "--realtime-report=out.jsonl", *asked)
    assert result.parseoutcomes()["passed"] == (3 if kind == "jsonl" else 1)
    told = [line for line in result.outlines if "/dev/full" in line]
    assert len(told) == 1, told
    assert "--realtime-report=/dev/full" in told[0]
    assert "No space left on device" in told[0]
    if kind == "jsonl":
        assert len(project.rows()) == 3


NORMALISER = """
from pytest_realtime_asr.metrics import accuracy

def wrong(text, language=""):
    raise ValueError("no such word")

@pytest.fixture(autouse=True)
def raising(monkeypatch):
    monkeypatch.setattr(accuracy, "normalizer_for", wrong)
"""


def test_measurements_survive_a_normaliser_that_raises(
    project: Project,
) -> None:
    project.write(
        f"""{NORMALISER}
def test_plain(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.wer_threshold(0.5)
def test_judged(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
    )
    result = project.run("--realtime-report=out.jsonl", "--junitxml=out.xml")
    result.assert_outcomes(passed=1, failed=1)
    why = "ValueError: no such word (test_it.py:"
    for row in project.rows():
        assert row["metrics"]["final_from_commit"] is not None
        assert row["failed"]["errors"].startswith(why)
    for properties in project.properties().values():
        assert "realtime.final_from_commit_ms.p50" in properties
        assert why in properties["realtime.failed"]
    result.stdout.fnmatch_lines(
        [
            "*no verdict could be made: ValueError: no such word (test_it.py:*",
            "test_plain * 1    0 *",
            "*not known: ValueError: no such word*",
        ]
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


# Signals


TERM = """
import os, signal
from pathlib import Path

@pytest.mark.parametrize("number", range(3))
def test_it(realtime, corpus, number):
    realtime.transcribe(corpus["turn-right"])
    if number == 1:
        with realtime.connect() as session:
            os.kill({pid}(), signal.{signal})
            session.transcribe(corpus["turn-right"])
"""


@pytest.mark.parametrize(
    ("name", "report"), [("SIGTERM", "out.jsonl"), ("SIGTERM", ""), ("SIGHUP", "")]
)
def test_a_termination_keeps_what_was_judged(
    project: Project, name: str, report: str
) -> None:
    project.write(TERM.format(pid="os.getpid", signal=name))
    words = [f"--realtime-target={project.url}", "-p", "no:xdist"]
    words += [f"--realtime-report={report}"] if report else []
    words += ["--junitxml=out.xml"]
    result = project.pytester.runpytest_inprocess(*words, no_reraise_ctrlc=True)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_it[[]0[]] * 1    0 *", f"*{name}*"])
    assert 'name="realtime.interrupted"' in (project.path / "out.xml").read_text()
    if report:
        assert [(row["lost"], row["counted"]) for row in project.rows()[:2]] == [
            ("", True),
            ("", True),
        ]
        last = project.lines()[-1]
        assert (last["kind"], last["interrupted"]) == ("run", True)
        assert not list(project.path.glob(".*-lock"))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("place", ["collector", "finalizer"])
def test_a_signal_that_python_ignores_is_sent_again(
    project: Project, name: str, place: str
) -> None:
    """Python ignores KeyboardInterrupt in callbacks of the garbage collector."""
    project.write(
        f"""
import gc, os, signal, time

def collector():
    def hit(phase, info):
        gc.callbacks.remove(hit)
        os.kill(os.getpid(), signal.{name})

    gc.callbacks.append(hit)
    gc.collect()

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})

def finalizer():
    Finalized()

@pytest.mark.parametrize("number", range(3))
def test_it(realtime, corpus, number):
    realtime.transcribe(corpus["turn-right"])
    if number == 1:
        {place}()
        time.sleep(30)
"""
    )
    words = [f"--realtime-target={project.url}", "-p", "no:xdist"]
    words += ["-W", "error", "--realtime-report=out.jsonl"]
    result = project.pytester.runpytest_inprocess(*words, no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(passed=1)
    assert project.lines()[-1]["interrupted"]


def test_no_signal_is_sent_again_after_the_run() -> None:
    """The default handler would end the process."""
    restore = termination.catch()
    try:
        hit = threading.Event()

        def collected(phase: str, info: dict[str, int]) -> None:
            gc.callbacks.remove(collected)
            hit.set()
            os.kill(os.getpid(), signal.SIGTERM)

        gc.callbacks.append(collected)
        gc.collect()
        assert hit.is_set()
    finally:
        restore()
    sent = [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
    for timer in sent:
        timer.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_interrupt_leaves_no_line_between_title_and_table(project: Project) -> None:
    project.write(TERM.format(pid="os.getpid", signal="SIGTERM"))
    words = [f"--realtime-target={project.url}", "-p", "no:xdist"]
    words += ["-o", "console_output_style=classic"]
    result = project.pytester.runpytest_inprocess(*words, no_reraise_ctrlc=True)
    (title,) = (n for n, line in enumerate(result.outlines) if "= realtime" in line)
    before, after = result.outlines[title - 1], result.outlines[title + 1]
    assert (before, after[:5]) == ("", "ws://")


def test_pytest_removes_the_folder_that_the_workers_share(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Pytest removes the folder even if a signal ends the run before its first test."""
    folder = pytest_internals.new_folder(pytestconfig)
    assert folder.is_dir()
    assert folder.parent == tmp_path_factory.getbasetemp()


def test_a_run_that_does_not_measure_keeps_the_default_handlers(
    project: Project,
) -> None:
    project.write(
        """
import signal

def test_it():
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    )
    project.run().assert_outcomes(passed=1)


def test_a_signal_handler_of_the_user_is_kept(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        """
import signal

def pytest_configure():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

def pytest_unconfigure():
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
"""
    )
    project.write(TERM.format(pid="os.getpid", signal="SIGTERM"))
    project.run().assert_outcomes(passed=3)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["os.getpid", "os.getppid"])
def test_a_termination_of_several_workers(project: Project, whom: str) -> None:
    """SIGTERM goes to one worker, or to the controller."""
    earlier(project.path)
    project.write(TERM.format(pid=whom, signal="SIGTERM"))
    words = ("-n2", "--realtime-report=out.jsonl")
    result = project.run(*words, apart=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    rows = project.rows()
    assert sum(not row["lost"] for row in rows) >= 2
    kept = project.path / "out.jsonl.1"
    assert kept.read_bytes() == EARLIER["out.jsonl"]
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert not list(project.path.glob(".*-lock"))


@pytest.mark.slow
def test_two_runs_of_several_workers(project: Project) -> None:
    """The second run is refused. The workers of the first run share its lock."""
    earlier(project.path)
    project.write(
        """
import time
from collections.abc import Iterator
from pathlib import Path

@pytest.mark.parametrize("number", range(4))
def test_it(realtime, corpus, number):
    realtime.transcribe(corpus["turn-right"])
    deadline = time.monotonic() + 60
    while not Path("refused").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
"""
    )
    words = ("-n2", "--realtime-report=out.jsonl")
    command = [sys.executable, "-m", "pytest", f"--realtime-target={project.url}"]
    first = subprocess.Popen(
        [*command, *words], cwd=project.path, stdout=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 60
        while not (project.path / "out.jsonl.1").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = project.run("--realtime-report=out.jsonl")
        assert second.ret == pytest.ExitCode.USAGE_ERROR
        second.stderr.fnmatch_lines(["ERROR: *out.jsonl: another run is writing *"])
    finally:
        (project.path / "refused").touch()
        text = first.communicate(timeout=60)[0].decode()
    assert first.returncode == 0, text
    assert len(project.rows()) == 4
    assert text.count("the earlier report was moved to") == 1
    assert (project.path / "out.jsonl.1").read_bytes() == EARLIER["out.jsonl"]
