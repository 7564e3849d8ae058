"""The commands of the pages on topics print what the pages show."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable

import pytest

from tests.support.paths import ROOT

TOPICS = sorted((ROOT / "docs/topics").glob("*.md"))
PAGES = {page.stem: page.read_text() for page in TOPICS}
ROUNDED = 1.0  # in ms; the printed numbers are rounded


def code(page: str) -> str:
    """The only example of a page."""
    (found,) = re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL)
    return str(found)


def commands(page: str) -> list[tuple[str, str]]:
    """The commands of a page, each with the output that the page shows."""
    blocks = re.findall(r"```console\n(.*?)```", PAGES[page], re.DOTALL)
    each = [part for block in blocks for part in block.split("$ pytest ") if part]
    return [(head, shown) for head, _, shown in (part.partition("\n") for part in each)]


def plain(text: str) -> str:
    """A text with one blank between words, and a sign in place of each number."""
    return re.sub(r"\d+(\.\d+)?", "#", " ".join(text.split()))


def numbers(line: str, output: str) -> list[float]:
    """The numbers in the only line of an output that begins with these words.

    A dot of pytest, for the test before, may stand before the words.
    """
    (found,) = re.findall(rf"^\.?{re.escape(line)}(.*)$", output, re.MULTILINE)
    return [float(each) for each in re.findall(r"\d+(?:\.\d+)?", found)]


def starts(output: str) -> None:
    """The differences are those of the clip, and the delays those of the server."""
    (connection,) = numbers("start of the connection to first text:", output)
    (audio,) = numbers("first audio to first text:", output)
    (speech,) = numbers("start of speech to first text:", output)
    (word,) = numbers("end of first word to this word:", output)
    (after,) = numbers("end of speech to next text:", output)
    (end,) = numbers("end of speech to final:", output)
    (commit,) = numbers("commit to final:", output)
    assert connection >= audio
    assert audio - speech == pytest.approx(200, abs=ROUNDED)  # two chunks of silence
    assert speech - word == pytest.approx(300, abs=ROUNDED)  # three chunks of a word
    assert end - commit == pytest.approx(224, abs=ROUNDED)  # silence until the commit
    assert 0 <= after <= end
    assert word >= 200
    assert commit >= 250


def paced(output: str) -> None:
    """No text comes before its delay, and in real time not before its audio."""
    (first, final), (burst, burst_final) = (
        numbers(f"pace {pace}: first text", output) for pace in (1, 0)
    )
    assert first >= 200 + 300  # three chunks of the first word
    assert burst >= 200
    assert min(final, burst_final) >= 250


def held_back(output: str) -> None:
    """No text comes before the end of the audio."""
    (first, final), (burst, burst_final) = (
        numbers(f"pace {pace}: first text", output) for pace in (1, 0)
    )
    assert first >= 1300 + 250  # the clip has 1.37 s from the start of the speech
    assert burst >= 250
    assert min(final, burst_final) >= 250


def calls(output: str) -> None:
    """Of four calls, each of which takes at least 1.9 s, at most two are sent."""
    sent, slowest = numbers("sent:", output)
    (not_begun,) = numbers("not begun:", output)
    assert sent + not_begun == 4
    assert sent <= 2
    assert slowest >= 250


def verdicts(output: str) -> None:
    """The sample size that the line asks for is that of the table of the page."""
    needed = re.findall(r"INCONCLUSIVE \(not proven: n=3, needs (\d+)\)", output)
    assert needed == [str(least(0.95, 0))]
    assert f"{least(0.95, 0) - 3} more sessions" in output


def whole(output: str) -> None:
    """The fault loses one word of each utterance."""
    assert "lost at the end: 1 word" in output


CHECKS: dict[str, list[Callable[[str], None]]] = {
    "coordinated-omission": [calls],
    "metric-names": [starts],
    "pacing": [paced, held_back],
    "synthetic-corpus": [whole],
    "undecided": [verdicts],
}
COMMANDS = [
    pytest.param(page, command, shown, check, id=f"{page}-{check.__name__}")
    for page in PAGES
    for (command, shown), check in zip(commands(page), CHECKS[page], strict=True)
]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "command", "shown", "check"), COMMANDS)
def test_a_command_prints_what_the_page_shows(
    page: str,
    command: str,
    shown: str,
    check: Callable[[str], None],
    pytester: pytest.Pytester,
) -> None:
    words = shlex.split(command)
    (file,) = (word for word in words if word.endswith(".py"))
    (pytester.path / file).write_text(code(page))
    # In this process, which is faster; its filter would turn warnings into errors.
    done = pytester.runpytest_inprocess(*words, "-p", "no:xdist", "-W", "default")
    output, rest = done.stdout.str(), plain(done.stdout.str())
    for line in shown.replace("...\n", "").splitlines():
        before, found, rest = rest.partition(plain(line))
        assert found, f"{line!r} is not in {before!r}"
    wanted = {
        kind: int(number)
        for number, kind in re.findall(r"(\d+) (failed|passed)", shown)
    }
    assert wanted.items() <= done.parseoutcomes().items()
    check(output)


def least(quantile: float, over: int) -> int:
    """The least sample that proves a limit at 95 %, with so many sessions over it."""
    n = over + 1
    while (
        sum(
            math.comb(n, k) * (1 - quantile) ** k * quantile ** (n - k)
            for k in range(over + 1)
        )
        > 0.05
    ):
        n += 1
    return n


def test_the_table_of_sample_sizes_is_right() -> None:
    rows = re.findall(r"^\| p(\d+) \| (.*) \|$", PAGES["undecided"], re.MULTILINE)
    assert [int(percent) for percent, _ in rows] == [50, 90, 95, 99]
    for percent, cells in rows:
        sizes = [int(cell) for cell in cells.split(" | ")]
        assert sizes == [least(int(percent) / 100, over) for over in range(3)]
