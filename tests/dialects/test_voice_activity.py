"""Tests of voice activity detection by energy."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.dialects.voice_activity import Detector
from tests.support.openai import SOUND, cut, loud, pcm, quiet


def detector(begin: int = 0) -> Detector:
    return Detector(24_000, threshold=0.5, padding=0.3, silence=0.5, first=begin)


def turns(chunks: Iterable[bytes], it: Detector) -> list[tuple[int, int, bytes]]:
    """Return start (ms), end (ms) and audio of each turn that has ended."""
    found = []
    start, said = 0, b""
    for chunk in chunks:
        turn = it.detect(chunk)
        while True:
            start = start if turn.start is None else turn.start
            said += turn.pcm
            if turn.end is None:
                break
            found.append((start // 24, turn.end // 24, said))
            said = b""
            turn = it.detect(b"")
    return found


@pytest.mark.parametrize("size", [2, 100, 480, 4_800, 10_000, len(SOUND)])
def test_turns_are_found_where_they_are(size: int) -> None:
    """A pause of 0.4 s ends no turn, and 20 ms of sound start no turn."""
    chunks = [SOUND[at : at + size] for at in range(0, len(SOUND), size)]
    assert turns(chunks, detector()) == [
        (200, 1900, cut(SOUND, 0.2, 1.9)),
        (2220, 3120, cut(SOUND, 2.22, 3.12)),
    ]


def test_positions_continue_from_the_start_of_the_session() -> None:
    ((start, end, _),) = turns([loud(0.1) + quiet(0.5)], detector(begin=24_000))
    assert (start, end) == (1000, 1600)


@given(st.lists(st.integers(0, len(SOUND) // 2), max_size=12))
def test_the_cut_into_chunks_changes_nothing(places: list[int]) -> None:
    edges = [0, *sorted(2 * place for place in places), len(SOUND)]
    chunks = [SOUND[a:b] for a, b in pairwise(edges)]
    assert turns(chunks, detector()) == turns([SOUND], detector())


def test_speech_is_passed_on_except_its_incomplete_last_frame() -> None:
    it = detector()
    said = it.detect(loud(0.1)[:-2]).pcm
    assert said == loud(0.09)
    assert it.detect(pcm(-4000)).pcm == loud(0.01)
