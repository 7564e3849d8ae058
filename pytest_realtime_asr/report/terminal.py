"""The summary table at the end of a run, and the lines below it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pytest_realtime_asr.metrics.accuracy import languages as known_languages
from pytest_realtime_asr.metrics.alignment import Errors
from pytest_realtime_asr.report import (
    languages,
    level_rows,
    levels,
    messages,
    utterances,
)
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.report.parts import Parts
from pytest_realtime_asr.report.verdict_rows import VerdictRow
from pytest_realtime_asr.report.verdict_rows import rows as verdict_rows
from pytest_realtime_asr.run.results import Results, broken_rules
from pytest_realtime_asr.run.statistics import (
    all_statistics,
    character_errors,
    unspoken,
    word_errors,
)

_NAME = 20  # columns of the name of a test in 80 columns; a wider terminal has more
_HEAD = " sent lost first p50 final p50 final p95    WER verdict"
_INDENT = "  "
_NEVER = "never"  # shown in place of an infinite time
_LEGEND = (
    "first: first_partial_from_speech; final: final_from_commit; {never}WER: pooled "
    "over words (over characters if all utterances of the test are in writing systems "
    "without spaces)"
)
_LEGEND_NEVER = "never: a lost session or a premature event; "


class Row(msgspec.Struct, frozen=True):
    """The data of one test, as a worker of pytest-xdist sends them to the controller.

    ``first``, ``final`` and ``tail`` are the columns of times, in ms. ``cold`` is the
    latency of the first final of the server's warm-up, in ms, and ``note`` is a remark
    on the warm-up. ``lines`` are shown below the table. They are followed by
    ``levels``, which is a table of the levels of load, and by ``utterances``, which is
    a table of all utterances of the test. ``version`` is the version of the server.
    ``statistics`` has the statistics of each metric, and ``verdicts`` has the judged
    limits with their results; both are shown in the summaries for CI services.
    ``replayed`` says that recorded sessions were replayed.
    """

    test: str
    planned: int
    lost: int
    first: float | None
    final: float | None
    tail: float | None
    wer: float | None
    verdict: str
    lines: list[str]
    target: str
    model: str
    cold: float | None
    note: str
    utterances: list[str] = []
    version: str = ""
    levels: list[str] = []
    statistics: dict[str, dict[str, float]] = {}
    verdicts: list[VerdictRow] = []
    replayed: bool = False

    @property
    def outcome(self) -> str:
        """The verdict, with the word ``replayed`` if sessions were replayed."""
        return marked(self.verdict, replayed=self.replayed)


def marked(verdict: str, *, replayed: bool) -> str:
    """Return a verdict, with the word ``replayed`` after it if ``replayed`` is true.

    The verdict may be empty.
    """
    return " ".join(filter(None, [verdict, messages.REPLAYED if replayed else ""]))


def row(
    results: Results,
    *,
    model: str,
    cold: float | None,
    note: str,
    listed: bool = False,
    width: int = USUAL,
) -> Row:
    """Return the row of one test; ``lines`` has one line for each verdict.

    The last lines name each part of the row that could not be computed, and its error.
    If ``listed`` is true, the row has the table of all utterances, in ``width``
    columns.
    """
    parts = Parts(private=results.private)
    nothing: dict[str, dict[str, float]] = {}
    found = parts("metrics", lambda: all_statistics(results.takes), nothing)
    rate = parts(
        "WER",
        lambda: _rate(word_errors(results.takes), character_errors(results.takes)),
        None,
    )
    none: list[level_rows.LevelRow] = []
    loads = parts("levels", lambda: list(map(level_rows.row, results.levels)), none)
    silence = parts("words in silence", lambda: unspoken(results.takes), None)
    lines: list[str] = []
    judged: list[VerdictRow] = []
    judged += parts("verdict rows", lambda: verdict_rows(results), judged)
    lines += parts("verdicts", lambda: messages.lines(results), lines)
    lines += map(messages.rule, broken_rules(results.violations))
    lines += _endpoints(found)
    lines += parts(
        "languages",
        lambda: languages.lines(known_languages(t.alignment for t in results.takes)),
        lines[:0],
    )
    if silence is not None:
        lines.append(f"recognised in silence: {silence:.1f} words per minute")
    lines += parts.lines
    return Row(
        test=results.test,
        planned=results.planned,
        lost=results.lost,
        first=_value(found, "first_partial_from_speech", "p50"),
        final=_value(found, "final_from_commit", "p50"),
        tail=_value(found, "final_from_commit", "p95"),
        wer=rate,
        verdict=_verdict(results),
        lines=lines,
        target=results.takes[0].trace.target if results.takes else "",
        model=model,
        cold=cold,
        note=note,
        utterances=utterances.lines(results.takes, width=width) if listed else [],
        version=results.takes[0].trace.version if results.takes else "",
        levels=levels.table(loads, width=width - len(_INDENT)),
        statistics=found,
        verdicts=judged,
        replayed=results.replayed,
    )


def _verdict(results: Results) -> str:
    """Return the verdict of a test.

    Without a verdict, returns "not judged" if the test was compared, else "".
    """
    if results.verdict is not None:
        return results.verdict.value
    return "not judged" if any(each.pairs for each in results.against) else ""


def table(rows: Sequence[Row], *, width: int = USUAL) -> list[str]:
    """Return the lines of the table; there are none if there are no rows.

    A line has at most ``width`` columns, unless one word is longer.
    """
    if not rows:
        return []
    lines = []
    for server in dict.fromkeys(server_line(each) for each in rows if each.target):
        lines += wrapped(server, width)
    names = _names({each.test for each in rows})
    longest = max(map(len, names.values()))
    columns = max(_NAME, min(longest, width - USUAL + _NAME))
    lines.append(" " * columns + _HEAD)
    for each in rows:
        times = map(time_text, (each.first, each.final, each.tail))
        lines.append(
            f"{_short(names[each.test], columns):{columns}} "
            f"{each.planned:4} {each.lost:4} "
            f"{' '.join(f'{time:>9}' for time in times)} "
            f"{share_text(each.wer):>6} {each.outcome}".rstrip()
        )
    found = (time for each in rows for time in (each.first, each.final, each.tail))
    never = _LEGEND_NEVER if any(map(_is_never, found)) else ""
    lines += wrapped(_LEGEND.format(never=never), width)
    for each in rows:
        if each.lines or each.levels or each.utterances:
            lines += ["", *wrapped(each.test, width)]
        for line in each.lines:
            lines += wrapped(line, width, first=_INDENT, then=2 * _INDENT)
        lines += [_INDENT + line for line in each.levels]
        lines += each.utterances
    return lines


def _rate(by_words: Errors, by_characters: Errors) -> float | None:
    return by_characters.rate if by_words.rate is None else by_words.rate


def server_line(row: Row) -> str:
    """Return the server of a test in one line: URL, model and warm-up."""
    cold = "" if row.cold is None else f", cold final {time_text(row.cold)}"
    note = f", {row.note}" if row.note else ""
    return f"{row.target}, model {row.model}{cold}{note}"


def _endpoints(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return one line about endpoints if the server detects turns, else no line."""
    cut, delay = found.get("false_endpoints"), found.get("endpoint_delay")
    if cut is None:
        return []
    late = ""
    if delay is not None:
        p50, p95 = time_text(delay["p50"]), time_text(delay["p95"])
        late = f"endpoint_delay p50 = {p50}, p95 = {p95}; "
    most = f"at most {cut['max']:.0f}" if cut["max"] else "none"
    return [f"{late}false_endpoints: {most} in any utterance (n={cut['n']:.0f})"]


def _value(
    found: Mapping[str, Mapping[str, float]], metric: str, key: str
) -> float | None:
    return found.get(metric, {}).get(key)


def _names(tests: Iterable[str]) -> dict[str, str]:
    """Return the shortest unique end of each test id, such as the name of the test."""
    found: dict[str, str] = {}
    left = list(tests)
    for parts in (1, 2, 3):
        names = {test: _end(test, parts) for test in left}
        count = Counter(names.values())
        found |= {test: name for test, name in names.items() if count[name] == 1}
        left = [test for test in left if test not in found]
    return found | {test: test for test in left}


def _end(test: str, parts: int) -> str:
    """Return the last ``parts`` parts of a test id.

    A ``::`` inside the parameters of the test does not separate parts.
    """
    path, colons, names = test.partition("::")
    names, bracket, parameters = names.partition("[")
    whole = f"{path}{colons}{names}".split("::")
    return "::".join(whole[-parts:]) + bracket + parameters


def _short(name: str, columns: int) -> str:
    """Return a name, or only its end if the name is too long for the column."""
    return name if len(name) <= columns else ".." + name[-(columns - 2) :]


def time_text(value: float | None) -> str:
    """Return a time in ms with its unit, for a column of the table."""
    if value is None:
        return "-"
    return _NEVER if _is_never(value) else f"{value:.0f} ms"


def _is_never(value: float | None) -> bool:
    return value is not None and math.isinf(value)


def share_text(value: float | None) -> str:
    """Return a rate in percent, for a column of the table."""
    return "-" if value is None else f"{value:.1%}"
