"""Finds texts under load that lost words or have the words of another session.

Each text is compared with the texts of the same clip without load. A server may lose
words even without load. So lost words are reported only if there are too many of them
to be explained by the differences between its texts without load (its *noise*).

*Cross-talk* is a text that contains the words of another clip, which another session
sent at the same time. A recogniser makes errors too, and some of them are words of
other clips. So a word counts as foreign only if it is neither in the reference nor in a
text of the session's own clip. Two neighbouring words of the session's own clip that
are recognised twice are not foreign either. Cross-talk needs enough foreign words:

- a run of `RUN` foreign words or more, which the other clip has in the same order; or
- many words in common with the other clip: at least half of the text, at least half of
  the other clip, and at least `BETTER` more than the text has in common with its own
  clip.

A wrong word is rarely a particular word of another clip by chance: the probability is a
few percent at most. So four such words in a row, or a text with three words more in
common with another clip than with its own, practically never occur by chance. In a
simulation over the bundled corpus, texts had 5, 10 and 20 % of wrong words, and all of
these words came from other clips. Even so, none of 10,000 sessions was reported. Where
words are not separated by spaces, characters are compared, and `RUN` and `BETTER` are
doubled. Sessions that send the same clip cannot be told apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.metrics.alignment import Errors, TextUnit, align
from pytest_realtime_asr.stats import proven_over
from pytest_realtime_asr.text.messages import printable, shortened

RUN = 4  # foreign words in a row
BETTER = 3  # words by which a text fits another clip better than its own
LEAST_LOST = 3  # words; fewer may be lost by chance in any text
_SURE = 0.9999  # confidence that more words are lost than the noise explains
_LEAST_NOISE = 0.02  # share of lost words; a few texts cannot show that it is less
_LONGEST_NAME = 120  # characters of a session id

Clips = Mapping[str, Utterance]
"""The utterances by the id of their clip."""


@dataclass(frozen=True, slots=True)
class CrossTalk:
    """A session whose text contains words of a clip that another session sent.

    ``row`` is the session with the text, and ``other`` the session that sent the clip.
    ``words`` says how many words of the clip the text contains; in a writing system
    without spaces between words, it counts characters.
    """

    row: Row
    other: Row
    words: int

    def __str__(self) -> str:
        return (
            f"session {name(self.row)} ({self.row.clip}) contains {self.words} words "
            f"of session {name(self.other)} ({self.other.clip}), which was open at the "
            "same time"
        )


@dataclass(frozen=True, slots=True)
class Solo:
    """The texts of a server without load, by clip, and their ``noise``.

    The noise is the mean difference in length between two texts of the same clip, as a
    share of the words of the longer text.
    """

    texts: Mapping[str, tuple[str, ...]]
    noise: float = _LEAST_NOISE


def name(row: Row) -> str:
    """Return the id of a session, or its clip and start time if it has no id."""
    known = shortened(printable(row.measured.session), _LONGEST_NAME)
    return known or f"{row.clip}@{row.opened.started:%H:%M:%S.%f}"


def solo(rows: Iterable[Row], clips: Clips) -> Solo:
    """Return the texts of sessions without load, and their noise."""
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if not row.lost and row.clip in clips:
            texts[row.clip].append(row.measured.text)
    changed = total = 0
    for clip, found in texts.items():
        sizes = [len(_split(text, clips[clip].language).words) for text in found]
        for one, other in combinations(sizes, 2):
            changed += abs(one - other)
            total += max(one, other)
    return Solo(
        {clip: tuple(found) for clip, found in texts.items()},
        max(_LEAST_NOISE, changed / total if total else 0.0),
    )


def errors_of(row: Row, clips: Clips) -> Errors | None:
    """Return the errors of a text; ``None`` if its clip has no reference transcript.

    In a lost session, every word of the reference is missing.
    """
    clip = clips.get(row.clip)
    if clip is None or not clip.text.strip():
        return None
    text = None if row.lost else row.measured.text
    return _errors(clip.text, text, clip.language)


@lru_cache(maxsize=16_384)  # many texts of a clip are the same
def _errors(reference: str, text: str | None, language: str) -> Errors:
    return words(reference, text, language=language).errors


def lost_words(row: Row, alone: Solo, clips: Clips) -> int:
    """Return how many words a text has lost under load.

    The text is compared with the shortest text of the same clip without load. The
    result is 0 if the noise of the server explains the difference, or if there is no
    text without load.
    """
    known = alone.texts.get(row.clip, ())
    if row.lost or not known:
        return 0
    language = clips[row.clip].language
    size = min(len(_split(text, language).words) for text in known)
    lost = size - len(_split(row.measured.text, language).words)
    if lost < LEAST_LOST:
        return 0
    return lost if proven_over(lost, size, 1 - alone.noise, _SURE) else 0


def cross_talk(rows: Sequence[Row], alone: Solo, clips: Clips) -> tuple[CrossTalk, ...]:
    """Return the sessions that contain the words of another session's clip.

    The other session was open at the same time. If the words can come from several
    other sessions, the result names a session whose clip has the most of these words.
    """
    by_clip: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.clip in clips and clips[row.clip].text.strip():
            by_clip[row.clip].append(row)
    found = []
    for row in (each for known in by_clip.values() for each in known):
        own = (clips[row.clip].text, *alone.texts.get(row.clip, ()))
        if row.lost or _is_own(row.measured.text, own, clips[row.clip].language):
            continue
        best: CrossTalk | None = None
        for clip, others in by_clip.items():
            if clip == row.clip:
                continue
            count = _foreign(row.measured.text, own, clips[clip])
            other = next((each for each in others if _overlap(row, each)), None)
            if other is not None and count > (0 if best is None else best.words):
                best = CrossTalk(row, other, count)
        found += [] if best is None else [best]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Split:
    """The normalised words of a text, or its characters."""

    words: tuple[str, ...]
    unit: TextUnit

    @property
    def scale(self) -> int:
        """The number of elements of ``words`` that together count as one word."""
        return 1 if self.unit is TextUnit.WORD else 2

    @property
    def least(self) -> int:
        """The least number of foreign words, or characters, that can be cross-talk."""
        return BETTER * self.scale


@lru_cache(maxsize=16_384)  # the same clips are compared again and again
def _split(text: str, language: str) -> _Split:
    """Return the words of a text, by the rules of a language."""
    aligned = words(text, "", language=language)
    said = tuple(pair.reference for pair in aligned.pairs if pair.reference is not None)
    return _Split(said, aligned.unit)


def _is_own(text: str, own: tuple[str, ...], language: str) -> bool:
    """Return whether a text has too few foreign words to be cross-talk."""
    heard = _split(text, language)
    return len(heard.words) - len(_belonging(text, own, language)) < heard.least


def _foreign(text: str, own: tuple[str, ...], clip: Utterance) -> int:
    """Return how many words of a text are foreign and come from ``clip``.

    ``own`` are the texts of the session's own clip, and ``clip`` is another clip. The
    number is 0 if there are too few such words for cross-talk.
    """
    heard = _split(text, clip.language).words
    other = _split(clip.text, clip.language)
    belongs = _belonging(text, own, clip.language)
    said = set(other.words)
    # Most texts have no foreign words, and need not be aligned with the other clips.
    rest = sum(heard[i] in said for i in range(len(heard)) if i not in belongs)
    if rest < other.least:
        return 0
    common = _common(other.words, heard)
    foreign = {place: at for place, at in common.items() if place not in belongs}
    better = len(common) - len(belongs)
    half = 2 * len(common) >= max(len(other.words), len(heard))
    in_a_row = _longest_run(foreign) >= RUN * other.scale
    if in_a_row or (better >= other.least and half):
        return len(foreign)
    return 0


@lru_cache(maxsize=1024)
def _belonging(text: str, own: tuple[str, ...], language: str) -> frozenset[int]:
    """Return the positions in a text of the words that belong to the session's clip.

    ``own`` are the reference transcript of this clip and its texts without load.
    """
    heard = _split(text, language).words
    found: set[int] = set()
    for each in own:
        said = _split(each, language).words
        found |= _common(said, heard).keys()
        neighbours = set(pairwise(said))
        for place, both in enumerate(pairwise(heard)):
            if both in neighbours:
                found |= {place, place + 1}
    return frozenset(found)


def _common(said: Sequence[str], heard: Sequence[str]) -> dict[int, int]:
    """Align two texts and return their equal words.

    The result maps the position of each equal word in ``heard`` to its position in
    ``said``.
    """
    found: dict[int, int] = {}
    there = here = 0
    for pair in align(said, heard):
        if pair.reference is not None and pair.reference == pair.hypothesis:
            found[here] = there
        there += pair.reference is not None
        here += pair.hypothesis is not None
    return found


def _longest_run(places: Mapping[int, int]) -> int:
    """Return the length of the longest run of words that two texts have in common.

    ``places`` maps the position of each equal word in one text to its position in the
    other text.
    """
    longest = length = 0
    before: tuple[int, int] | None = None
    for here, there in places.items():
        length = length + 1 if before == (here - 1, there - 1) else 1
        longest, before = max(longest, length), (here, there)
    return longest


def _overlap(one: Row, other: Row) -> bool:
    return one.began < other.ended and other.began < one.ended
