"""Several workers: they take turns, share a server and report every result."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tests.plugin.test_markers import POOLED
from tests.plugin.test_modes import AWAITED, PLAIN, outcomes
from tests.support.project import Project, Servers


@pytest.mark.slow
def test_workers_take_turns_and_give_the_same_outcomes(project: Project) -> None:
    project.write(PLAIN + AWAITED.format(mark="@pytest.mark.asyncio"))
    arguments = ("-n2", "-Werror", "--realtime-report=out.jsonl", "--junitxml=out.xml")
    result = project.run(*arguments, target="fake", apart=True)
    outcomes(result, passed=5, failed=3)
    rows = sorted(project.rows(), key=lambda row: row["started"])
    assert len(rows) == 7
    assert len({row["target"] for row in rows}) == 1
    spans = [
        (begun, begun + timedelta(microseconds=row["end"]["at"] / 1e3))
        for row in rows
        for begun in [datetime.fromisoformat(row["started"])]
    ]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    # The same properties as without workers, but for what such brief sessions may lack.
    apart = project.properties()
    project.run("--junitxml=one.xml").assert_outcomes(passed=5, failed=3)
    alone = project.properties("one.xml")
    lacking = tuple(
        f"realtime.{name}" for name in ("own_cpu", "path_round_trip", "lag_yaal")
    )

    def named(found: dict[str, dict[str, str]]) -> dict[str, set[str]]:
        return {
            test: {name for name in row if not name.startswith(lacking)}
            for test, row in found.items()
        }

    assert named(apart) == named(alone)


@pytest.mark.slow
def test_tests_that_workers_cannot_judge(
    project: Project, servers: Servers, bits: str
) -> None:
    project.write(
        """
@pytest.mark.parametrize("count", range(2))
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", max="5s")
def test_it(realtime, corpus, count):
    realtime.transcribe(corpus["bit"])
"""
    )
    project.write(POOLED.format(limit="5s"), name="test_pooled")
    project.write("@pytest.mark.realtime(x=1)\ndef test_x(): pass", name="test_x")
    arguments = ("-n2", "--realtime-parallel", f"--realtime-corpus={bits}")
    result = project.run(*arguments, target=servers().url, apart=True)
    result.assert_outcomes(failed=2, errors=3)
    for said in (
        "INVALID: *; not attributed to the server: sessions of other workers ran at *",
        "*needs all tests of a module * run with --dist loadfile",
        "*test_x: realtime: the marker takes no x; choose from dialect*",
    ):
        result.stdout.fnmatch_lines([said])


@pytest.mark.slow
def test_the_shared_server_is_of_the_requested_kind(project: Project) -> None:
    pytest.importorskip("pocketsphinx")
    project.ini("realtime_target = fake")
    (project.path / "conftest.py").write_text(
        """
import pytest

@pytest.fixture(scope="session")
def realtime_target():
    return "reference"
"""
    )
    project.write("def test_it(realtime): assert realtime.model == 'pocketsphinx'")
    project.run("-n1", target=None, apart=True).assert_outcomes(passed=1)


@pytest.mark.slow
def test_an_unusable_target_stops_no_run_without_realtime_tests(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALTIME_TARGET", "http://127.0.0.1:1")
    monkeypatch.setenv("REALTIME_CHUNK", "long")
    (project.path / "pytest.ini").unlink()
    project.write("def test_it(): pass")
    project.run("-n1", target=None, apart=True).assert_outcomes(passed=1)
