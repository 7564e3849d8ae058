"""Markers: refused values, verdicts, and the messages of failures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_realtime_asr.trace import records
from tests.support.project import Project, Servers

NAMES = "first_partial_from_speech, *final_from_commit*"


def output_line(result: pytest.RunResult) -> str:
    """Return the whole output of a run as one line."""
    return " ".join(" ".join(result.outlines).split())


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ('latency_budget("ttft", p95="1s")', f"*no metric 'ttft'; *{NAMES}"),
        (
            'latency_budget("sender_lateness", p95="1s")',
            f"*measures the client, not the server; *{NAMES}",
        ),
        (
            'latency_budget("final_from_commit", p96="1s")',
            "*no keyword p96; choose from p50, p90, p95, p99, max, mean, *over",
        ),
        ('latency_budget("final_from_commit", p95=800)', "*800 *'800ms'*"),
        (
            'latency_budget("final_from_commit")',
            "*needs a limit for a statistic, such as p95=*statistics are p50, *",
        ),
        ('latency_budget("final_from_commit", max="1s", over="session")', "*module"),
        ('latency_budget(p95="1s")', "*latency_budget*missing*argument*'metric'*"),
        ("wer_threshold(12)", "*12 is not a share from 0 to 1; write 0.12 for 12 %"),
        ("wer_threshold(0.1, normalizer='mine')", "*'mine'; choose from *"),
        ("wer_threshold()", "*wer_threshold*missing*argument*'limit'*"),
        ("realtime(speed=2)", "*no speed; choose from dialect, model, pace, *"),
        ("realtime('vllm')", "*no positional argument; choose from dialect, *"),
        ("realtime(rules='all')", "*choose from must, should and off"),
        ("realtime(pace='2')", "*give 0 (as fast as possible), or a number from *"),
        ("realtime(chunk='1h')", "*a chunk of 1h cannot be used*"),
    ],
)
def test_wrong_markers(project: Project, marker: str, said: str) -> None:
    project.write(f"@pytest.mark.{marker}\ndef test_it(realtime): pass")
    result = project.run("--strict-markers", target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: test_it.py::test_it: {said}"])


def test_one_session_has_only_a_maximum(project: Project) -> None:
    project.write(
        """
@pytest.mark.latency_budget("final_from_commit", p95="1s")
def test_it(realtime, utterance): pass
"""
    )
    result = project.run(target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = '*p95: a test with the fixture utterance *only max= *; add over="module" *'
    result.stderr.fnmatch_lines([said.replace("[", "[[]")])


@pytest.mark.slow
def test_budgets(project: Project, servers: Servers) -> None:
    project.write(
        """
pytestmark = pytest.mark.realtime(pace=1)
beside = pytest.mark.latency_budget("connect", max="5s")

@beside
@pytest.mark.latency_budget("final_from_commit", max="50ms")
@pytest.mark.latency_budget("final_from_commit", p50="5s", mean="5s")
@pytest.mark.wer_threshold(0)
def test_slow(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

def test_goes_on(): pass

@beside
@pytest.mark.realtime(pace=8)
def test_unreal(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@beside
@pytest.mark.realtime(pace=8)
class TestNearest:
    @pytest.mark.realtime(chunk="50ms", pace=1.0)
    def test_it(self, realtime, corpus):
        take = realtime.transcribe(corpus["turn-right"])
        sent = [record for record in take.trace.records if record.span]
        assert sent[0].span.stop == 800
"""
    )
    url = servers().url
    result = project.run("--junitxml=out.xml", "--realtime-warmup=1", target=url)
    result.assert_outcomes(passed=2, failed=2)
    text = result.stdout.str()
    # The first line says all.
    first = re.search(
        r"^final_from_commit max = (\d+) ms > 50 ms \(n=1, (?:1 retried, )?1 over; "
        r"proven; path [\d.]+ ms\); server, not client \(client delay [\d.]+ ms\)$",
        text,
        re.MULTILINE,
    )
    assert first is not None
    assert int(first[1]) >= 250
    result.stdout.fnmatch_lines(
        [
            "*ms  turn-right  sess-????????-*  20??-??-?? ??:??:?? UTC",
            "*trace: *.jsonl",
            "*text: 'turn right and stop'",
            f"again: pytest --realtime-target={url} * test_it.py::test_slow",
        ]
    )
    (path,) = re.findall("trace: (.*)$", text.partition("test_unreal _")[0], re.M)
    kept = records.read(project.path / path)
    assert "turn" in (kept.records[-1].text or "")
    why = "a latency at pace 8 is not in real time"
    assert f"; not attributed to the server: {why}" in text
    assert "cold final" in text
    found = project.properties()
    assert found["test_slow"]["realtime.verdict"] == "FAIL"
    assert Path(found["test_slow"]["realtime.trace"]) == Path(path)
    assert found["test_unreal"]["realtime.verdict"] == "INVALID"
    assert found["test_it"]["realtime.verdict"] == "PASS"


@pytest.mark.slow
def test_the_three_worst(project: Project, servers: Servers, bits: str) -> None:
    project.write(
        """
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", p95="50ms", confidence=0.95)
@pytest.mark.latency_budget("final_from_commit", p95="50ms")
def test_it(realtime, corpus):
    realtime.transcribe([corpus["bit"]] * 4, concurrency=4)
"""
    )
    given = (f"--realtime-corpus={bits}", "-Walways")  # so few could never prove it
    result = project.run(*given, target=servers().url)
    result.assert_outcomes(failed=1, warnings=1)
    text = result.stdout.str().partition("= realtime speech")[0]
    said = r"p95 = \d+ ms > 50 ms \(95% CI .*; n=4.*, 4 over; proven for this corpus"
    assert len(re.findall(said, text)) == 2
    paths = set(re.findall("trace: (.*)$", text, re.M))
    assert len(paths) == 3
    sessions = {records.read(project.path / path).started for path in paths}
    assert len(sessions) == 3


def test_a_marker_needs_a_session(project: Project, bits: str) -> None:
    project.write(
        """
@pytest.mark.latency_budget("final_from_commit", max="5s")
def test_nothing(realtime): pass

@pytest.mark.wer_threshold(0.1)
def test_without_the_fixture(): pass

@pytest.mark.latency_budget("first_partial_from_speech", max="5s")
@pytest.mark.realtime(pace=1)
def test_without_words(realtime, corpus):
    realtime.transcribe(corpus["bit"])
"""
    )
    result = project.run(f"--realtime-corpus={bits}")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "*max <= 5000 ms: no session was judged: nothing was measured",
            "*wer <= 0.100: no session was judged: nothing was measured",
            "first_partial_from_speech max <= 5000 ms: cannot be measured in 1 of 1 *",
        ]
    )


def test_wer_shows_the_texts(project: Project, clips: str) -> None:
    manifest = Path(clips)
    wrong = manifest.with_name("wrong.jsonl")
    wrong.write_text(manifest.read_text().replace("right and", "left and"))
    project.write(
        """
@pytest.mark.wer_threshold(0.1)
def test_it(realtime, corpus):
    realtime.transcribe(corpus)

@pytest.mark.wer_threshold(0.2)
def test_lenient(realtime, corpus):
    realtime.transcribe(corpus)
"""
    )
    result = project.run(f"--realtime-corpus={wrong}")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "wer = 0.125 > 0.100 (95% CI *; n=2, 8 words, S=1 D=0 I=0; *",
            "* turn-right: 1 wrong of 4",
            "  trace: *-turn-right.jsonl",
            "*turn*left*and*stop*",
            "*turn*right*and*stop*",
            "again: pytest *test_it.py::test_it",
        ]
    )


POOLED = """
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", p95="{limit}", over="module")
def test_it(realtime, utterance):
    realtime.transcribe(utterance)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "workers",
    [(), pytest.param(("-n2", "--dist=loadfile"), marks=pytest.mark.slow)],
)
def test_pooled_over_the_module(
    project: Project, servers: Servers, bits: str, workers: tuple[str, ...]
) -> None:
    project.write(POOLED.format(limit="50ms"))
    project.write(POOLED.format(limit="5s"), name="test_lenient")
    project.write("def test_beside(): pass", name="test_beside")
    arguments = (*workers, f"--realtime-corpus={bits}")
    result = project.run(*arguments, target=servers().url, apart=bool(workers))
    result.assert_outcomes(passed=4, failed=1)
    assert re.search(
        r"p95 = \S+ ms <= 5000 ms \(.*?; n=2\b.*?, 0 over; ", output_line(result)
    )
    result.stdout.fnmatch_lines(
        [
            "*_ test_it?bob? _*",
            "final_from_commit p95 = * > 50 ms (*; n=2*, 2 over; *",
            "*trace: *",
            "*trace: *",
            "again: pytest *test_it.py",
        ]
    )


LAST = """
pytestmark = [
    pytest.mark.realtime(pace=1),
    pytest.mark.latency_budget("final_from_commit", p95="1ms", over="module"),
]

def test_first(realtime, corpus):
    realtime.transcribe(corpus["bit"])

{last}
"""
LASTS = {
    "skip": "@pytest.mark.skip\ndef test_last(): pass",
    "set_up": "def test_last(no_such_fixture): pass",
    "skips": "def test_last(realtime):\n    pytest.skip()",
    "fails": "def test_last(realtime, corpus):\n"
    "    realtime.transcribe(corpus['bit'])\n    assert 0",
    "xfail": "@pytest.mark.xfail\ndef test_last(realtime, corpus):\n"
    "    realtime.transcribe(corpus['bit'])",
}


def test_a_pool_that_an_interrupt_cut_off_is_named(project: Project, bits: str) -> None:
    code = POOLED.format(limit="5s")
    more = code.replace("test_it", "test_more")
    project.write(f"{code}\ndef test_end(): pytest.exit('enough')\n{more}")
    result = project.run(f"--realtime-corpus={bits}")
    said = (
        "final_from_commit in test_it.py was not judged: the run ended after only "
        "2 tests of this budget"
    )
    assert any(said in line for line in result.outlines), result.stdout.str()


@pytest.mark.slow
def test_a_pool_is_judged_even_if_its_last_test_fails_or_skips(
    project: Project, bits: str
) -> None:
    for name, last in LASTS.items():
        project.write(LAST.format(last=last), name=f"test_{name}")
    project.write("def test_after(): pass", name="test_zz")
    arguments = (f"--realtime-corpus={bits}", "--junitxml=out.xml", "-rA")
    result = project.run(*arguments)
    outcomes = result.parseoutcomes()
    # Each module has its error in the tear-down, and one of them in the set-up too.
    assert outcomes["errors"] == len(LASTS) + 1
    assert (outcomes["failed"], outcomes["passed"]) == (1, len(LASTS) + 1)
    assert (outcomes["skipped"], outcomes["xpassed"]) == (2, 1)
    for name in LASTS:
        count = 2 if name in ("fails", "xfail") else 1
        result.stdout.fnmatch_lines_random(
            [
                "*ERROR at teardown of test_last*",
                f"*final_from_commit p95 = * > 1 ms (*n={count}*, {count} over; *",
                f"again: pytest * test_{name}.py",
                f"ERROR test_{name}.py::test_last - *final_from_commit p95 = *",
            ]
        )


ENDINGS = """
import asyncio
import unittest

import pytest

pooled = pytest.mark.budget("normalized_erasure", at_least=1, over="module")
@pooled
def test_first(realtime, corpus):
    realtime.transcribe(corpus["bit"])

{ending}
"""
RAISED = {
    "sysexit": "SystemExit(1)",
    "genexit": "GeneratorExit",
    "cancelled": "asyncio.CancelledError",
}
SKIPPED = {"skip": "pytest.skip.Exception('x')", "unittest": "unittest.SkipTest('x')"}
RAISES = """
@pooled
def test_last(realtime, corpus):
    realtime.transcribe(corpus["bit"])
    raise {error}
"""
SKIPPED_ELSEWHERE = {
    "set_up": """
@pytest.fixture
def heard(realtime, corpus):
    realtime.transcribe(corpus["bit"])
    pytest.skip("x")

@pooled
def test_last(heard): pass
""",
    "method": """
class TestLast(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _given(self, realtime, corpus):
        self.speak = lambda: realtime.transcribe(corpus["bit"])

    @pooled
    def test_last(self):
        self.speak()
        self.skipTest("x")
""",
}


def test_a_pool_keeps_the_transcriptions_of_failed_and_skipped_tests(
    project: Project, bits: str
) -> None:
    endings = {
        name: RAISES.format(error=error)
        for name, error in {**RAISED, **SKIPPED}.items()
    }
    for name, ending in {**endings, **SKIPPED_ELSEWHERE}.items():
        project.write(ENDINGS.format(ending=ending), name=f"test_{name}")
    result = project.run(f"--realtime-corpus={bits}")
    skipped = [*SKIPPED, *SKIPPED_ELSEWHERE]
    modules = len(RAISED) + len(skipped)
    result.assert_outcomes(
        passed=modules, failed=len(RAISED), skipped=len(skipped), errors=modules
    )
    pools = [line for line in result.outlines if line.startswith("normalized_erasure")]
    assert len(pools) == modules
    assert all("in 2 of 2 sessions" in line for line in pools), pools
    for name in RAISED:
        said = ["*- Captured realtime call -*", f"trace: *test_{name}.py-test_last-*"]
        result.stdout.fnmatch_lines(said)


RERUN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for _ in range(2):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""


def test_a_test_that_is_run_again_counts_once(project: Project, bits: str) -> None:
    (project.path / "conftest.py").write_text(RERUN)
    project.write(POOLED.format(limit="5s"))
    result = project.run(f"--realtime-corpus={bits}", "--junitxml=out.xml")
    result.assert_outcomes(passed=2)
    assert re.search(
        r"p95 = \S+ ms <= 5000 ms \(.*?; n=2\b.*?, 0 over; ", output_line(result)
    )
