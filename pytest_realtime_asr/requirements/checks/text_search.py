"""A search of every text that a server sends, before any normalisation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import StringIO

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.checks.combinators import any_session, first_at
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Violated,
)
from pytest_realtime_asr.trace.timeline import Final, Partial, Timeline

_OVERLAP = 40  # characters before a new piece, searched for a match in two pieces
_SHOWN = 60  # characters before and after a match that a message shows

Find = Callable[[str, Utterance | None], tuple[str, int] | None]
"""A function that returns the name and the index of the first match in a text.

Its arguments are the text and the utterance that was sent, or ``None`` if this
utterance is not known. The function returns ``None`` if nothing matches.
"""


def in_no_text(find: Find, *, finals_only: bool = False) -> Check:
    """Return a check that ``find`` finds nothing in any partial or final.

    With ``finals_only``, only finals are searched.
    """

    def check(part: Part) -> Outcome | None:
        outcome: Outcome | None = None
        for piece in _pieces(part.timeline):
            if finals_only and not piece.final:
                continue
            if piece.text:
                outcome = Satisfied()
            if found := find(piece.text, part.spoken.get(piece.item)):
                what, at = found
                shown = piece.text[max(0, at - _SHOWN) : at + _SHOWN]
                return Violated(
                    f"{what} is in the text {shown!r}", first_at(part, piece.at)
                )
        return outcome

    nothing = "no final came" if finals_only else "no text came"
    return any_session(check, nothing=nothing)


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a text that is new at the time ``at`` (ns), or a whole final."""

    item: int
    at: int
    text: str
    final: bool


@dataclass(slots=True)
class _Growing:
    """The text of an item so far, and its length in characters."""

    text: StringIO = field(default_factory=StringIO)
    length: int = 0


def _pieces(timeline: Timeline) -> Iterator[_Piece]:
    """Yield each final, and the new text of each partial.

    A piece of a partial also has the `_OVERLAP` characters before its new text, since a
    match may begin there. The cost is linear in the length of the received texts.
    """
    texts: dict[int, _Growing] = defaultdict(_Growing)
    for event in timeline.events:
        match event:
            case Partial(item=item, at=at, kept=kept, added=added):
                growing = texts[item]
                kept = min(kept, growing.length)
                growing.text.seek(kept)
                growing.text.truncate()
                growing.text.write(added)
                growing.length = kept + len(added)
                growing.text.seek(max(0, kept - _OVERLAP))
                yield _Piece(item, at, growing.text.read(), final=False)
            case Final(item=item, at=at, text=text):
                yield _Piece(item, at, text, final=True)
