"""Strips: an utterance over time, in plain characters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.report import alignment
from pytest_realtime_asr.report.alignment import column, columns
from pytest_realtime_asr.report.session_chart import ChartMark, Mark, SessionChart
from pytest_realtime_asr.report.strip import LEAST, Point, coloured, lines
from pytest_realtime_asr.trace.spoken import Spoken
from pytest_realtime_asr.trace.word_times import WordTime

SAID = (("turn", 0.25), ("the", 0.75), ("light", 1.25), ("off", 1.75))


def spoken(*words: tuple[str, float], seconds: float = 2.5) -> Spoken:
    """Return a description whose audio is loud for 200 ms from the start of a word."""
    levels = [0] * round(seconds / 0.05)
    for _, start in words:
        first = round(start / 0.05)
        levels[first : first + 4] = [60] * 4
    times = tuple(WordTime(text, at, at + 0.2) for text, at in words)
    return Spoken("clip", seconds, words=times, envelope=bytes(levels))


def charted(
    *marks: ChartMark, spoken: Spoken | None = None, seconds: float = 2.5
) -> SessionChart:
    return SessionChart(spoken, seconds, 1000, None, None, marks, (), "")


def heard(*texts: tuple[float, str]) -> list[ChartMark]:
    """Return a partial for each text, which replaces the text before it."""
    return [ChartMark(Mark.PARTIAL, at, text) for at, text in texts]


def strip(chart: SessionChart, **settings: Any) -> str:
    return "".join(f"\n{line}" for line in lines(chart, **settings)) + "\n"


COMMIT = ChartMark(Mark.COMMIT, 2500)
PARTIALS = heard(
    (500, "turn"), (1000, "turn a"), (1500, "turn the light"), (2000, "turn the lights")
)
FINAL = ChartMark(Mark.FINAL, 4000, "turn the lights off")
LATE = charted(*PARTIALS, COMMIT, FINAL, spoken=spoken(*SAID))
LIMIT = Point("limit 800 ms", 3300, line=True)


def test_a_late_final() -> None:
    assert (
        strip(LATE, points=[Point("commit", 2500), LIMIT])
        == """
  audio     :##      ##      ##:     ###                      |
  said      turn    the     light   off                       |
  heard         turn    a*      the lights                    |           off
                                                 ^commit      ^limit 800 ms
                                                                          ^final
  s     |0      |0.5    |1      |1.5     |2      |2.5    |3      |3.5     |4
        *: a later text changed the word
"""
    )


def test_the_words_are_those_of_a_narrow_terminal() -> None:
    assert (
        strip(LATE, width=LEAST)
        == """
  audio   #   =  =:  #
  said   turn    light
             the    off
  heard    turn    the lights
               a*                    off
                          ^commit
                                final^
  s     |0            |2             |4
        *: a later text changed the word
"""
    )


def test_a_session_that_hung() -> None:
    end = ChartMark(Mark.END, 6000, "deadline: no final within 4 s")
    assert (
        strip(charted(COMMIT, end, spoken=spoken(*SAID)))
        == """
  audio    #:   :#    #:   :#
  said    turn  the  light off
  heard
                                   ^commit
                                        end: deadline: no final within 4 s^
  s     |0         |1         |2         |3         |4         |5         |6
"""
    )


def test_words_that_come_only_with_the_final() -> None:
    assert (
        strip(charted(COMMIT, FINAL, spoken=spoken(*SAID)))
        == """
  audio     :##      ##      ##:     ###
  said      turn    the     light   off
  heard                                                                   turn ~
                                                 ^commit                  ^final
  s     |0      |0.5    |1      |1.5     |2      |2.5    |3      |3.5     |4
"""
    )


def test_wide_and_combining_characters_keep_their_columns() -> None:
    said = spoken(("今日", 0.5), ("は", 1.0), ("e\u0301te\u0301", 1.5), ("سلام", 2.0))
    texts = heard((1000, "今日"), (1500, "今日は"), (2000, "今日は e\u0301te\u0301"))
    assert (
        strip(charted(*texts, COMMIT, spoken=said))
        == """
  audio               ####         ####         ####         #####
  said               今日         は           été          سلام
  heard                           今日         は           été
                                                                    commit^
  s     |0           |0.5         |1           |1.5         |2            |2.5
"""
    )


def test_a_private_session_shows_marks_only() -> None:
    assert (
        strip(LATE, texts=False)
        == """
  audio     :##      ##      ##:     ###
  heard         *       *       *        *
                                                 ^commit                  ^final
  s     |0      |0.5    |1      |1.5     |2      |2.5    |3      |3.5     |4
        *: a partial
"""
    )


def test_the_strip_of_a_long_session_shows_only_its_end() -> None:
    final = ChartMark(Mark.FINAL, 1_201_500, "two")
    chart = charted(ChartMark(Mark.COMMIT, 1_200_000), final, seconds=1200)
    assert (
        strip(chart)
        == """
  audio -----------------------------------------------------------------
  heard                                                                   two
                                                                        ^commit
                                                                          ^final
  s              |1150      |1160      |1170      |1180      |1190      |1200
        shown: 1141.5 to 1201.5 of 1201.5 s; a column is 0.91 s
"""
    )
    assert (
        strip(chart, points=[Point("limit 2 s", 1_201_200, line=True)])
        == """
  audio ------------------------------------------------------------    |
  heard                                                                 | two
                                                                   ^commit
                                                               limit 2 s^ ^final
  s           |1188    |1190    |1192    |1194   |1196    |1198    |1200
        shown: 1186.5 to 1201.5 of 1201.5 s
"""
    )
    assert (
        strip(chart, points=[Point("limit 400 ms", 900, line=True)])
        == """
  audio ------------------------------------------------------------------------
  heard    |
           ^limit 400 ms
  s     |0      |2       |4       |6       |8       |10     |12      |14
        shown: 0.0 to 16.4 of 1201.5 s; commit at 1200.0 s; final at 1201.5 s
"""
    )


def test_the_errors_of_arguments_and_a_session_without_audio() -> None:
    with pytest.raises(ValueError, match="width=39 is too narrow"):
        lines(LATE, width=LEAST - 1)
    assert lines(charted(COMMIT, FINAL, seconds=0.0)) == []


def test_a_word_that_only_grows_or_changes_its_case_is_not_marked() -> None:
    same = heard((500, "hel"), (1000, "hello wor"), (1500, "Hello, world."))
    first = row(lines(charted(*same)), "heard")
    assert first.split() == ["Hello,", "world."]
    changed = heard((500, "hello"), (1000, "hollow world"))
    assert row(lines(charted(*changed)), "heard").split() == [
        "hello*",
        "hollow",
        "world",
    ]
    moved = heard((500, "a light"), (1000, "on"), (1500, "on a light"))
    assert "a light*" not in row(lines(charted(*moved)), "heard")


def test_a_long_text_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to draw a strip grows linearly with the length of a text."""
    measured = 0

    def counting(char: str) -> int:
        nonlocal measured
        measured += 1
        return column(char)

    monkeypatch.setattr(alignment, "column", counting)
    counts = []
    for length in (1000, 2000):
        measured = 0
        word = "x" * length
        chart = charted(ChartMark(Mark.FINAL, 2500, word), spoken=spoken((word, 0.25)))
        assert "xx~" in strip(chart, points=[Point(word, 2500)])
        counts.append(measured)
    assert counts[1] < 2.5 * counts[0]


def test_what_a_server_sends_cannot_break_the_lines() -> None:
    refusal = ChartMark(Mark.REFUSAL, 1000, "no\n\x1b[31m::error::x\u202e" * 9)
    partial = heard((500, "a\x1b[2Jb\r\nc\ud800\u200b"))
    found = lines(charted(*partial, refusal))
    assert all(line.isprintable() for line in found)
    assert "a\ufffd[2Jb c\ufffd" in row(found, "heard")


def row(found: list[str], name: str) -> str:
    (line,) = (line for line in found if line.startswith(f"  {name} "))
    return line[8:]


TEXT = st.text(
    st.sampled_from([*"ab ,日ひ한", "\u0301", "ش", "😀", "\u200d", "\t", "\x1b", "*"]),
    max_size=30,
)
AT = st.floats(-2000, 100_000)
MARK = st.builds(ChartMark, st.sampled_from(Mark), AT, TEXT, st.integers(0, 40))
WORDS = st.lists(st.tuples(TEXT.filter(str.strip), st.floats(0, 90)), max_size=30)


@given(
    marks=st.lists(MARK, max_size=30),
    words=WORDS,
    seconds=st.floats(0.05, 100),
    points=st.lists(st.builds(Point, TEXT, AT, st.booleans()), max_size=3),
    width=st.integers(LEAST, 160),
    texts=st.booleans(),
)
def test_no_strip_is_too_wide_and_every_mark_is_shown(
    marks: list[ChartMark],
    words: list[tuple[str, float]],
    seconds: float,
    points: list[Point],
    width: int,
    texts: bool,
) -> None:
    marks.sort(key=lambda mark: mark.at)
    said = spoken(*words, seconds=100) if words else None
    chart = charted(*marks, spoken=said, seconds=seconds)
    found = lines(chart, width=width, points=points, texts=texts)
    assert all(columns(line) <= width for line in found)
    assert all(column(char) for line in found for char in line[:8])
    if final := chart.first(Mark.FINAL):
        drawn = any("^final" in line or "final^" in line for line in found)
        said_below = f"final at {final.at / 1000:.1f} s" in "".join(found)
        named = any(point.name == "final" for point in points)
        assert drawn or said_below or named


def test_a_coloured_strip_has_the_same_characters() -> None:
    end = ChartMark(Mark.END, 6000, "deadline: no final")
    strips = [*lines(LATE, points=[LIMIT]), *lines(charted(COMMIT, end))]
    texts = ["a headline | with limit 8 ms^", *strips, "again: | pytest*"]
    found = list(coloured(texts))
    assert ["".join(text for text, _ in parts) for parts in found] == texts
    marked = {text for parts in found[1:-1] for text, markup in parts if markup}
    lost = "end: deadline: no final^"
    assert marked == {"|", "^limit 800 ms", "a*", "^commit", "^final", lost}
    assert not any(markup for parts in (found[0], found[-1]) for _, markup in parts)
