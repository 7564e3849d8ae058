"""A server that cannot be tested is one failure, to which the other tests refer."""

from __future__ import annotations

import pytest
from websockets.http11 import Request, Response

from pytest_realtime_asr.run import config
from tests.support.project import Project
from tests.support.servers import Answer, closed, plain, serving

NAMED = "--realtime-dialect=vllm"
OWN = """
@pytest.mark.xfail
def test_expected(realtime): pass

@pytest.mark.parametrize("number", range(4))
def test_own(realtime, number): pass

def test_plain(): pass
"""
MODELS = b'{"data":[{"id":"m"}]}'


def test_each_test_of_the_project_refers_to_the_first(project: Project) -> None:
    project.write(OWN)
    with closed() as port:
        result = project.run(NAMED, "-rs", target=f"127.0.0.1:{port}")
    # A test that is expected to fail does not report it, since the run would pass.
    result.assert_outcomes(passed=1, errors=1, skipped=3, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED ?3? test_it.py:*: not tried, since the server could not be tested "
            "(see test_it.py::test_own?0?)"
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_run_fails_even_if_the_first_failure_is_taken_back(project: Project) -> None:
    project.write("def test_one(realtime): pass\ndef test_two(realtime): pass")
    (project.path / "conftest.py").write_text(
        """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if item.name == "test_one":
        report.outcome = "passed"
    return report
"""
    )
    with closed() as port:
        result = project.run(NAMED, target=f"127.0.0.1:{port}")
    assert "failed" not in result.parseoutcomes()
    assert result.ret == pytest.ExitCode.TESTS_FAILED


SENDING = """
@pytest.mark.parametrize("number", range(3))
def test_sent(realtime, corpus, number):
    realtime.transcribe(corpus["turn-right"])
"""


def answering(status: int) -> Answer:
    """Answer a session with this status; the server lists a model."""

    def answer(request: Request) -> Response | None:
        if request.path.startswith("/v1/realtime"):
            return plain(status) if status else None
        listed = request.path.startswith("/v1/models")
        return plain(200, MODELS) if listed else plain(404)

    return answer


@pytest.mark.parametrize("warmup", [0, 1])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "*/v1/realtime: HTTP 401: no API key was sent: set REALTIME_API_KEY*"),
        (403, "*/v1/realtime: HTTP 403: no API key was sent: *"),
        (404, "*/v1/realtime: HTTP 404: not found; is the path right (*"),
        pytest.param(
            0,
            "*/v1/realtime: the server opened a session and sent nothing within *",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_reason_why_no_session_started_is_reported(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    said: str,
    warmup: int,
) -> None:
    monkeypatch.setattr(config, "_OPENING", 3.0)
    project.write(SENDING)
    with serving(answer=answering(status)) as url:
        result = project.run(NAMED, f"--realtime-warmup={warmup}", target=url)
    # Without a warm-up, the first test finds it in its own session.
    result.assert_outcomes(errors=1, skipped=2 if warmup else 1, failed=1 - warmup)
    result.stdout.fnmatch_lines([f"realtime target: {said}"])
    result.stdout.no_fnmatch_line("*no server was there*")


def test_a_server_without_a_list_of_models(project: Project) -> None:
    project.write(OWN)
    with serving(answer=lambda request: plain(404)) as url:
        result = project.run(NAMED, target=url)
    result.assert_outcomes(passed=1, errors=1, skipped=3, xfailed=1)
    result.stdout.fnmatch_lines(
        ["realtime target: */v1/models: not found; name the model with *"]
    )


@pytest.mark.slow
def test_the_workers_report_it_once(project: Project) -> None:
    project.write(OWN)
    with closed() as port:
        asked = (NAMED, "--realtime-conformance", "test_it.py", "-n", "2")
        result = project.run(*asked, target=f"127.0.0.1:{port}", apart=True)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1
    assert outcomes["skipped"] > 100
