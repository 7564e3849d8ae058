"""A check that no word of a long text is doubled while the word after it is lost.

A server that transcribes the audio in chunks joins the texts of the chunks. If it joins
them at the wrong word, a word comes twice and the next word is lost: "open the the
door" instead of "open the front door".

A recogniser may also make such an error by itself. So the clips that were sent alone
are searched too; if one of them has a doubled word, the check is undecided. Two or more
doubled words in the long texts are a violation. A single doubled word is a violation
only if no clip that was sent alone has any error.

Suppose that 40 clips are within long texts, that 100 clips were sent alone, and that
errors are equally likely in both. The probability of a violation by two or more doubled
words is then at most 3 %, at any rate of doubled words. The probability of a violation
by a single doubled word is at most 1.5 % if at most one error in ten is a doubled word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.metrics.alignment import Pair
from pytest_realtime_asr.requirements.checks.combinators import absent
from pytest_realtime_asr.requirements.checks.lost_words import LONG, SCENARIOS
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)

LEAST_ALONE = 20  # texts of clips that were sent alone
_AROUND = 3  # words before and after a doubled word, in messages
_ALONE = tuple(role for role in SCENARIOS if role not in LONG)


def doubled(pairs: Sequence[Pair]) -> Iterator[int]:
    """Yield the index of each pair whose word came twice while the next word was lost.

    At this index, the reference has two different words in a row, and the text has the
    first of them twice.
    """
    for place, pair in enumerate(pairs):
        word = pair.reference
        if word is None or word != pair.hypothesis:
            continue
        before = _errors(pairs[:place][::-1])
        after = _errors(pairs[place + 1 :])
        lost = [each.reference for each in after if each.reference is not None]
        extra = [
            each.hypothesis for each in (*before, *after) if each.hypothesis is not None
        ]
        at_once = not any(each.reference is not None for each in before)
        if at_once and extra == [word] and len(lost) == 1 and lost != [word]:
            yield place


def _errors(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs before the first pair whose two words are equal."""
    found = []
    for pair in pairs:
        if pair.reference == pair.hypothesis:
            break
        found.append(pair)
    return found


def no_doubled_words(evidence: Evidence) -> Outcome:
    """Check that no word of a long text is doubled while the word after it is lost."""
    if missing := absent(evidence, *SCENARIOS):
        return missing
    alone = [pairs for _, pairs in _texts(evidence, *_ALONE)]
    long = list(_texts(evidence, *LONG))
    if not long:
        return Undecided("no long utterance got its final")
    if len(alone) < LEAST_ALONE:
        return Undecided(
            f"{LEAST_ALONE} texts of shorter utterances are needed for a comparison, "
            f"and only {len(alone)} came"
        )
    if any(next(doubled(pairs), None) is not None for pairs in alone):
        return Undecided("words are doubled in shorter utterances, too")
    found = [(at, pairs, place) for at, pairs in long for place in doubled(pairs)]
    exact = all(pair.reference == pair.hypothesis for pairs in alone for pair in pairs)
    if len(found) < (1 if exact else 2):
        return Satisfied()
    at, pairs, place = found[0]
    near = pairs[max(0, place - _AROUND) : place + _AROUND + 1]
    said = " ".join(pair.reference for pair in near if pair.reference is not None)
    text = " ".join(pair.hypothesis for pair in near if pair.hypothesis is not None)
    return Violated(
        f"a word comes twice and the next word is missing at {len(found)} places of "
        f"long texts, and at no place of {len(alone)} shorter texts; for example "
        f"{text!r} instead of {said!r}",
        (),
        at,
    )


def _texts(evidence: Evidence, *roles: str) -> Iterator[tuple[int, Sequence[Pair]]]:
    """Yield the session index and the aligned words of each text in these roles."""
    for part in evidence.role(*roles):
        for item, utterance in part.spoken.items():
            text = part.text(item)
            if text is not None:
                language = utterance.language
                pairs = words(utterance.text, text, language=language).pairs
                yield evidence.index(part), pairs
