"""Every example of the README does what it says."""

from __future__ import annotations

import re
import tomllib

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.plugin.options import OPTIONS
from pytest_realtime_asr.plugin.settings import settings
from pytest_realtime_asr.trace.records import Sender
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()
EXAMPLES: list[str] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
TABLES: list[str] = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
DESELECTED = sum(r.binds is Sender.SERVER for r in dialects.load("vllm").requirements)
LOOP = "asyncio_default_fixture_loop_scope = function"
INI = f"[pytest]\n{LOOP}\nrealtime_dialect = vllm\n"


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project that holds what the README says it needs."""
    pytester.makeini(INI)
    return pytester


def example(word: str) -> str:
    """The one example that holds this word."""
    (found,) = (text for text in EXAMPLES if word in text)
    return found


@pytest.mark.slow
def test_the_examples_pass_on_the_server_that_the_conftest_starts(
    project: pytest.Pytester,
) -> None:
    project.makeconftest(example("subprocess"))
    project.makepyfile(
        test_own=example("test_second_utterance"), test_client=example("test_my_client")
    )
    three = "go-forward or turn-left or turn-right"
    options = ["--realtime-warmup=0", "-k", f"not each or {three}", "-W", "error"]
    done = project.runpytest_subprocess(*options)
    done.assert_outcomes(passed=3 + 3 + 1, deselected=23)


@pytest.mark.slow
def test_the_examples_of_verdicts_pass_as_well(project: pytest.Pytester) -> None:
    project.makeconftest(example("subprocess"))
    (table,) = (text for text in TABLES if "[l4]" in text)
    project.path.joinpath("limits.toml").write_text(table)
    project.makepyfile(
        test_in_order=example("test_until_decided"),
        test_limits=example("test_limits_of_this_machine"),
        test_parity=example("test_parity"),
    )
    limits = ("--realtime-budgets=limits.toml", "--realtime-budget-profile=l4")
    options = ("--realtime-warmup=0", "-W", "error", *limits)
    done = project.runpytest_subprocess(*options, "test_in_order.py", "test_limits.py")
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines("*PASS (proven: n=*): final_from_commit p50 = *")
    # Its texts are the same at any pace.
    done = project.runpytest_subprocess(*options, "--realtime-pace=8", "test_parity.py")
    done.assert_outcomes(passed=1)


@pytest.mark.slow
def test_an_application_of_the_project_is_judged(project: pytest.Pytester) -> None:
    project.makeconftest(example("my_server.app"))
    project.mkpydir("my_server").joinpath("app.py").write_text(
        '''
async def app(scope, receive, send):
    """No server of speech recognition."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})
'''
    )
    options = ["--realtime-conformance", "-k", "first-event", "--realtime-model=none"]
    done = project.runpytest_subprocess(*options, "--realtime-warmup=0")
    done.assert_outcomes(failed=1, deselected=DESELECTED)
    done.stdout.fnmatch_lines(["first-event ?MUST? missing: *"])


def test_every_example_is_run() -> None:
    run = ("subprocess", "my_server", "test_second_utterance", "test_my_client")
    verdicts = ("test_until_decided", "test_limits_of_this_machine", "test_parity")
    assert sorted(map(example, [*run, *verdicts])) == sorted(EXAMPLES)


def test_every_option_that_is_named_is_there() -> None:
    named = set(re.findall(r"--realtime-[a-z-]+", README))
    assert named <= {option.cli for option in OPTIONS}


def test_the_first_lines_name_extras_that_are_there() -> None:
    extras = set(re.findall(r'"(?:\.|pytest-realtime-asr)\[(\w+)\]"', README))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extras == set(project["optional-dependencies"])


def test_the_ini_lines_are_those_that_hold() -> None:
    *held, loop = re.findall(r"```ini\n(.*?)\n```", README)
    assert loop == LOOP
    given = dict(line.split(" = ", 1) for line in held)
    found = settings(lambda _: None, lambda option: given.get(option.ini), {})
    assert found.dialect == "openai:" + given["realtime_profile"]
    dialect = dialects.load(found.dialect)
    assert dialect.rate == 16_000
    said = dialects.load("openai").caller("m", found.run.session.options).configure()
    assert '"language":"en"' in said[0]
    assert '"type":"server_vad"' in said[0]


def test_the_ini_line_of_the_dialect_is_the_one_that_is_told() -> None:
    lines = set(re.findall(r"`(realtime_dialect = \w+)`", README))
    assert [line for line in INI.splitlines() if line in lines] == [*lines]
