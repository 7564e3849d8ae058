"""The example for vLLM is short, and each of its tests fails on a broken server."""

from __future__ import annotations

import shutil

import pytest

from tests.support.paths import ROOT

FOLDER = ROOT / "examples/vllm"
LIMITED = ("ends-idle", "caps-queue")  # what the example expects of the fake server
BROKEN = {  # by test: the faults of a server on which it fails, and what it says
    "abort": ((*LIMITED, "leaks-requests"), "*num_requests_running 1.0*"),
    "teardown": ((*LIMITED, "leaks"), "*websocket_connections_active 2.0*"),
    "idle timeout": (("caps-queue", "idle-kills"), "*the server closed*"),
    "queue cap": ((*LIMITED, "tolerant"), "*'idle_timeout' == 'buffer_full'*"),
    "optional_fields": ((*LIMITED, "strict-fields"), "*Lost*"),
    "no audio": ((*LIMITED, "dies-of-empty"), "*Lost*"),
    "unknown model": ((*LIMITED, "accepts-any-model"), "*'model_not_found'*"),
}


@pytest.fixture
def example(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the tests and the ini file of the example."""
    for name in ("test_realtime.py", "pytest.ini"):
        shutil.copy(FOLDER / name, pytester.path)
    return pytester


def test_the_example_is_short() -> None:
    assert len((FOLDER / "test_realtime.py").read_text().splitlines()) < 40


@pytest.mark.parametrize("test", BROKEN)
def test_the_readme_names_the_fault(test: str) -> None:
    rows = (FOLDER / "README.md").read_text().splitlines()
    (row,) = (each for each in rows if each.startswith(f"| `{test}` |"))
    assert row.endswith(f"| `{BROKEN[test][0][-1]}` |")


@pytest.mark.slow
@pytest.mark.parametrize("test", BROKEN)
def test_a_test_fails_on_a_server_with_the_fault(
    test: str, example: pytest.Pytester
) -> None:
    """The tests of all examples show that it passes with ``LIMITED`` alone."""
    faults, why = BROKEN[test]
    done = example.runpytest(
        f"--realtime-fake={' '.join(f'--fault {name}' for name in faults)}",
        "--realtime-timeout=4",
        "--realtime-pace=8",
        "--realtime-warmup=0",
        *("-k", test.replace(" ", " and ")),
    )
    done.assert_outcomes(failed=1, deselected=len(BROKEN) - 1)
    done.stdout.fnmatch_lines([why])
