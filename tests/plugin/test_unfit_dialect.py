"""A dialect that the suite cannot judge is an error before the first session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr.conformance import selection
from pytest_realtime_asr.conformance.selftest import Score
from pytest_realtime_asr.requirements.requirement import Level
from tests.support.project import Project, of_vllm
from tests.support.servers import VLLM, faking

pytestmark = of_vllm
NOTHING = (
    "ERROR: *: the dialect vllm has no requirements, so the suite would "
    "judge nothing; *"
)
NO_SCENARIO = (
    "ERROR: *: the requirement first-event of the dialect vllm needs the "
    "scenario no-such-scenario, which the dialect does not have; add a misuse *"
)


def having(monkeypatch: pytest.MonkeyPatch, *ids: str, scenario: str = "") -> None:
    """Let the dialect have only these requirements, which need this scenario."""
    found = [each for each in VLLM.requirements if each.id in ids]
    if scenario:
        found = [replace(each, scenarios=(scenario,)) for each in found]
    monkeypatch.setattr(type(VLLM), "requirements", tuple(found))


@pytest.mark.parametrize("target", ["fake", "server", "detected", None])
@pytest.mark.parametrize("lacks", ["requirements", "scenario"])
def test_the_suite_does_not_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, target: str | None, lacks: str
) -> None:
    if lacks == "scenario":
        having(monkeypatch, "first-event", scenario="no-such-scenario")
    else:
        having(monkeypatch)
    with faking() as (url, fake):
        plan = ["--realtime-plan"] if target is None else []
        more = ["-orealtime_dialect=auto"] if target == "detected" else plan
        where = url if target in ("server", "detected") else target
        result = project.run("--realtime-conformance", *more, target=where)
        assert len(fake.traces()) == (target == "detected")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = NO_SCENARIO if lacks == "scenario" else NOTHING
    lines = [*result.outlines, *result.errlines]
    pytest.LineMatcher(lines).fnmatch_lines([told])
    assert "Traceback" not in "\n".join(lines)


def test_a_level_without_requirements_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    having(monkeypatch, "created-now")
    assert selection.judged("vllm")
    with pytest.raises(LookupError, match="the dialect vllm has no MUST requirements"):
        selection.judged("vllm", level=Level.MUST)


@pytest.mark.parametrize("lacks", ["requirements", "scenario"])
def test_the_selftest_proves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    if lacks == "scenario":
        having(monkeypatch, "first-event", scenario="no-such-scenario")
    else:
        having(monkeypatch)
    asked = ("--realtime-selftest", "--realtime-dialect=vllm")
    result = project.run(*asked, target=None)
    assert result.ret != 0
    lines = [*result.outlines, *result.errlines]
    told = "vllm: the dialect has no requirements, so the self-test proves nothing"
    pytest.LineMatcher(lines).fnmatch_lines(
        [NO_SCENARIO if lacks == "scenario" else told]
    )


def test_a_score_without_checks_is_not_proven() -> None:
    assert len(Score("vllm", {}, {}, {}).unproven) == 1
