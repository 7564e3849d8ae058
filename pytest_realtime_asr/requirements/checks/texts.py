"""Checks of texts, compared with the server's own transcript of a clip sent alone.

See `pytest_realtime_asr.requirements.pseudo_reference` for the comparison. A clip
of which over 20 % of the words are wrong even alone is not used, nor is one that is
shorter than the tolerance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import (
    words,
)
from pytest_realtime_asr.metrics.latency import has_words
from pytest_realtime_asr.metrics.repetition import (
    repeated,
)
from pytest_realtime_asr.requirements.checks.combinators import (
    absent,
    any_session,
    first_at,
    first_unsatisfied,
    per_session,
    why,
)
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.pseudo_reference import (
    SoloTranscript,
    at_equal_noise,
    not_random,
    solo_transcript,
)
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.timeline import Final, Partial

ALONE = "alone"  # the role of the sessions that give the solo transcripts
USABLE_WER = 0.2  # of a clip alone, above which it is not used to compare texts

_NO_CLIP = Undecided(
    "no clip can be used to compare texts: sent alone, each clip of the corpus has "
    "over 20 % WER, or is too short for the server's own noise; --realtime-corpus "
    "selects other clips"
)


# Solo transcripts, and the texts that are compared with them


def solo_transcripts(evidence: Evidence) -> dict[str, SoloTranscript]:
    """Return the solo transcript of each clip that can be used, by the clip's id.

    All have the noise of the noisiest clip.
    """
    texts: dict[str, list[str]] = {}
    clips: dict[str, Utterance] = {}
    for part in evidence.role(ALONE):
        for item, utterance in part.spoken.items():
            clips[utterance.id] = utterance
            if (text := part.text(item)) is not None:
                texts.setdefault(utterance.id, []).append(text)
    found = {name: solo_transcript(clips[name], its) for name, its in texts.items()}
    return at_equal_noise(
        {
            name: each
            for name, each in found.items()
            if usable(each.utterance, each.text)
        }
    )


def usable(utterance: Utterance, text: str) -> bool:
    """Return whether a clip is recognised well enough alone, and is long enough.

    Digits may be written as one number, and then are one word.
    """
    errors = words(utterance.text, text, language=utterance.language).errors
    alone = SoloTranscript(utterance, text, (text,), noise=0)
    recognised = errors.rate is not None and errors.rate <= USABLE_WER
    return recognised and alone.is_beyond_noise(alone.words)


@dataclass(frozen=True, slots=True)
class _Compared:
    """The text of an item of the session at index ``place``, and its clip's own."""

    place: int
    item: int
    solo: SoloTranscript
    text: str

    def violation(self, message: str) -> Violated:
        return Violated(message, (), self.place)


Solos = Mapping[str, SoloTranscript]


def _compared(evidence: Evidence, solos: Solos, *roles: str) -> list[_Compared]:
    """Return each text of these sessions that there is a solo transcript for."""
    return [
        _Compared(evidence.index(part), item, solo, text)
        for part in evidence.role(*roles)
        for item, utterance in part.spoken.items()
        if (text := part.text(item)) is not None
        and (solo := solos.get(utterance.id)) is not None
    ]


def per_text(
    check: Callable[[list[_Compared], Solos], Outcome], *roles: str, clips: int = 1
) -> Check:
    """Return a check of all texts of these roles that can be compared.

    It is undecided if fewer than ``clips`` clips can be used.
    """
    return _with_solos(
        lambda evidence, solos: check(_compared(evidence, solos, *roles), solos),
        *roles,
        clips=clips,
    )


def _with_solos(
    check: Callable[[Evidence, Solos], Outcome], *roles: str, clips: int = 1
) -> Check:
    def check_all(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        solos = solo_transcripts(evidence)
        return check(evidence, solos) if len(solos) >= clips else _NO_CLIP

    return check_all


# The same text as alone, and no text of another clip


def same_text(role: str) -> Check:
    """Return a check that a clip in this role has the text that it has alone."""

    def check(texts: list[_Compared], _: Solos) -> Outcome:
        if len(texts) < 2:
            return Undecided(f"fewer than two texts came ({role})")
        by_clip: dict[str, list[_Compared]] = {}
        for each in texts:
            by_clip.setdefault(each.solo.utterance.id, []).append(each)
        for repeats in (texts, *by_clip.values()):
            wrong = [each for each in repeats if each.solo.differs(each.text)]
            if not_random(len(wrong), len(repeats)):
                text, solo = wrong[0].text, wrong[0].solo
                return wrong[0].violation(
                    f"{text!r} in {len(wrong)} of {len(repeats)} repeats, but alone "
                    f"{solo.text!r} ({solo.distance(text)} of {solo.words} words "
                    f"differ; own noise {solo.noise})"
                )
        return Satisfied()

    return per_text(check, role)


def kept_apart(*roles: str, later: bool = False) -> Check:
    """Return a check that no utterance has the text of another one, whole or in part.

    Where ``later``, the first utterance of each session may have it.
    """

    def check(texts: list[_Compared], solos: Solos) -> Outcome:
        checked = False
        for each in texts:
            own = each.solo
            for other in solos.values():
                foreign = _foreign(own, other)
                if not own.is_beyond_noise(foreign.total()) or (
                    later and not each.item
                ):
                    continue  # they are too much alike, or too short
                checked = True
                found = (foreign & Counter(other.words_of(each.text))).total()
                if own.is_beyond_noise(found) and 2 * found >= foreign.total():
                    return each.violation(
                        f"{each.text!r} came for {own.text!r}: it has words of another "
                        f"utterance, {other.text!r}"
                    )
        if not checked:
            return Undecided("no text came of a clip that differs enough from another")
        return Satisfied()

    return per_text(check, *roles, clips=2)


def _foreign(own: SoloTranscript, other: SoloTranscript) -> Counter[str]:
    """Return the words of another clip that a clip never has when it is sent alone."""
    usual = set(other.words_of(" ".join(own.repeats)))
    return Counter(word for word in other.words_of(other.text) if word not in usual)


def if_in_time(role: str, check: Check) -> Check:
    """Return the check, without sessions of a role whose late frames came too late.

    A session is kept if the frame after them, which the server refuses, was refused
    before the first final: a server reads frames in their order.
    """

    def check_kept(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        kept = [p for p in evidence.parts if p.role != role or _before_final(p)]
        if not any(part.role == role for part in kept):
            return Undecided("the final came before the server had read the rest")
        outcome = check(replace(evidence, parts=tuple(kept)))
        if not isinstance(outcome, Violated):
            return outcome
        return replace(outcome, part=evidence.index(kept[outcome.part]))

    return check_kept


def _before_final(part: Part) -> bool:
    final, refusals = part.timeline.final, part.timeline.refusals
    return final is not None and bool(refusals) and refusals[0].at < final.at


# What a text has to contain


def has_first_word(*roles: str) -> Check:
    """Return a check that the first word of each utterance is in its text."""
    return _has_word(0, "first", *roles)


def has_last_word(*roles: str) -> Check:
    """Return a check that the last word of each utterance is in its text."""
    return _has_word(-1, "last", *roles)


def _has_word(place: int, name: str, *roles: str) -> Check:
    def check(texts: list[_Compared], _: Solos) -> Outcome:
        always = [
            each
            for each in texts
            # A word that is not always there alone is not expected elsewhere.
            if all(each.solo.kept_words(text)[place] for text in each.solo.repeats)
        ]
        if len(always) < 2:
            return Undecided(f"fewer than two texts came ({', '.join(roles)})")
        lost = [each for each in always if not each.solo.kept_words(each.text)[place]]
        if len(lost) < 2:  # one may be a word that the server took for another
            return Satisfied()
        return lost[0].violation(
            f"the {name} word is lost in {len(lost)} of {len(always)} utterances: "
            f"{lost[0].solo.text!r} became {lost[0].text!r}"
        )

    return per_text(check, *roles)


def has_clip(role: str) -> Check:
    """Return a check that at least half of the words of a clip are in its text."""

    def check(texts: list[_Compared], _: Solos) -> Outcome:
        for each in texts:
            if lost := _lost(each.solo, each.text):
                return each.violation(lost)
        return Satisfied() if texts else Undecided("no final came")

    return per_text(check, role)


def has_both_clips(role: str) -> Check:
    """Return a check that two clips sent as one utterance are both in its text."""

    def check(evidence: Evidence, solos: Solos) -> Outcome:
        first_two = list(solos.values())[:2]
        texts = [(part, part.text(0)) for part in evidence.role(role)]
        for part, text in texts:
            for solo in first_two:
                if text is not None and (lost := _lost(solo, text)):
                    return Violated(lost, (), evidence.index(part))
        if all(text is None for _, text in texts):
            return Undecided("no final came")
        return Satisfied()

    return _with_solos(check, role, clips=2)


def _lost(solo: SoloTranscript, text: str) -> str | None:
    """Return that over half of a clip is missing from a text, if so."""
    there = Counter(solo.words_of(solo.text)) & Counter(solo.words_of(text))
    if 2 * (there.total() + solo.noise) >= solo.words:
        return None
    return f"{text!r} has {there.total()} of the {solo.words} words of {solo.text!r}"


def keeps_start(role: str) -> Check:
    """Return a check that the text of a long utterance keeps the clip at its start.

    That clip is the first of those that were sent alone.
    """

    def check(evidence: Evidence, solos: Solos) -> Outcome:
        first = next(iter(solos.values()))
        for part in evidence.role(role):
            text = part.text(0)
            if text is None:
                return Undecided(f"no final came: {why(part)}")
            head = first.words_of(text)[: first.words + 1]
            found = (Counter(first.words_of(first.text)) & Counter(head)).total()
            if 2 * found < first.words:
                return Violated(
                    f"{text[:120]!r} starts without {first.text!r}",
                    (),
                    evidence.index(part),
                )
        return Satisfied()

    return _with_solos(check, role)


# Text at all, and none


def speech_has_text(role: str) -> Check:
    """Return a check that speech gets text at all."""

    def check(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        texts = [
            text
            for part in evidence.role(role)
            for item in part.spoken
            if (text := part.text(item)) is not None
        ]
        if not texts:
            return Undecided("no final came")
        if not any(map(has_words, texts)):
            return Violated(f"no text at all in {len(texts)} finals", ())
        return Satisfied()

    return check


def wordless(role: str, item: int) -> Check:
    """Return a check that an utterance without speech has no text."""

    def check(part: Part) -> Outcome | None:
        text = part.text(item)
        if text is not None and text.strip():
            return Violated(f"{text!r} came for an utterance without speech", ())
        return None if text is None else Satisfied()

    return any_session(check, role, nothing="no final came")


def starts_nothing(role: str) -> Check:
    """Return a check that an utterance whose start was refused gets no text."""

    def check(part: Part) -> Outcome:
        if not part.timeline.refusals:
            return Undecided("nothing was refused")
        if not part.timeline.heard:
            return Undecided("no audio was sent after the refusal")
        for event in part.timeline.events:
            if isinstance(event, Partial | Final):
                return Violated(
                    "text or a final came, although the start was refused",
                    first_at(part, event.at),
                )
        return Satisfied()

    return per_session(check, role, fold=first_unsatisfied)


def no_repetition(role: str) -> Check:
    """Return a check that no text repeats anything three times in a row."""

    def check(part: Part) -> Outcome | None:
        outcome: Outcome | None = None
        for item, utterance in part.spoken.items():
            if (text := part.text(item)) is None:
                continue
            if has_words(text):
                outcome = Satisfied()
            aligned = words(utterance.text, text, language=utterance.language)
            if thrice := repeated(aligned):
                return Violated(f"{thrice!r} three times in a row in {text!r}", ())
        return outcome

    return any_session(check, role, nothing="no final with a word came")
