"""Sessions with many clips, as the scenarios of lost words send them."""

from __future__ import annotations

from collections.abc import Callable

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.corpus.joined import Joined, joined
from pytest_realtime_asr.requirements.checks.lost_words import (
    CHUNKS,
    CUT,
    JITTERED,
    JOINED,
    LONG,
    PROTECTED,
)
from pytest_realtime_asr.requirements.evidence import Part
from tests.support.sessions import spoke

NAMES = ("anna", "berta", "carla", "dora", "emma", "frida", "greta", "hanna", "ida")
CLIPS = tuple(
    Utterance(name, f"{name} sees a black cat", silence(1.0), language="en")
    for name in (*NAMES, "jana", "karla", "lena")
)
UNPROTECTED = (CUT, *CHUNKS, JITTERED)
ALONE = (*UNPROTECTED, PROTECTED)

Change = Callable[[str], str]


def same(text: str) -> str:
    return text


def without_last(text: str) -> str:
    return text.rpartition(" ")[0]


def without_first(text: str) -> str:
    return text.partition(" ")[2]


def said(change: Change, *, clips: int = len(CLIPS)) -> list[str]:
    """Return the texts of the clips; the first ``clips`` are changed."""
    texts = [each.text for each in CLIPS]
    return [*map(change, texts[:clips]), *texts[clips:]]


def sessions(changes: dict[str, Change], lost: range = range(0)) -> list[Part]:
    """Return a session in each role, whose texts are changed by role.

    Long texts lack the clips of these numbers.
    """
    parts = [spoke(role, *said(changes.get(role, same)), clips=CLIPS) for role in ALONE]
    groups = [joined(CLIPS[at::3], 0.5) for at in range(3)]
    texts = [_text(each, changes.get(JOINED, same)) for each in groups]
    parts.append(spoke(JOINED, *texts, clips=groups))
    whole = joined(CLIPS, 0.5)
    for role in LONG[:2]:
        text = _text(whole, changes.get(role, same), lost)
        parts.append(spoke(role, text, clips=(whole,)))
    return parts


def _text(utterance: Joined, change: Change, lost: range = range(0)) -> str:
    clips = enumerate(utterance.clips)
    return " ".join(
        change(each.utterance.text) for number, each in clips if number not in lost
    )
