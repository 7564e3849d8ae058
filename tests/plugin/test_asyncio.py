"""pytest-asyncio comes with the plugin: its warnings, and what a project sets."""

from __future__ import annotations

import pytest

ASYNCHRONOUS = """
import pytest

def test_plain():
    pass

@pytest.mark.asyncio
async def test_coroutine():
    pass
"""


@pytest.mark.parametrize("words", [(), ("-W", "error")], ids=["plain", "strict"])
def test_a_project_that_sets_nothing_sees_no_warning(
    words: tuple[str, ...], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(ASYNCHRONOUS)
    # hypothesis warns in this project's own development environment
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", *words)
    result.assert_outcomes(passed=2)
    told = result.stdout.str() + result.stderr.str()
    assert "Warning" not in told
    assert "is unset" not in told


def test_a_project_keeps_what_it_sets(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        "[pytest]\nasyncio_default_fixture_loop_scope = session\nasyncio_mode = auto\n"
    )
    pytester.makepyfile(ASYNCHRONOUS.replace("@pytest.mark.asyncio\n", ""))
    result = pytester.runpytest("-W", "error")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["asyncio: mode=*AUTO*default_fixture_loop_scope=session*"]
    )
