"""Checks of texts: each text is compared with the solo transcript of its clip.

See `pytest_realtime_asr.requirements.pseudo_reference` for the comparison. A clip is
not used if its solo transcript has over 20 % WER, or so few words that the comparison
allows all of them to differ.
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
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.timeline import Final, Partial

ALONE = "alone"  # the role of the sessions that give the solo transcripts
USABLE_WER = 0.2  # a clip is not used if its solo transcript has a higher WER

_NO_CLIP = Undecided(
    "too few clips can be used to compare texts: a clip is left out if its solo "
    "transcript has over 20 % WER, or so few words that the comparison allows all of "
    "them to differ; choose other clips by --realtime-corpus"
)


# Solo transcripts, and the texts that are compared with solo transcripts


def solo_transcripts(evidence: Evidence) -> dict[str, SoloTranscript]:
    """Return the solo transcripts of all usable clips, by the id of the clip.

    The own variation (``noise``) of each transcript is set to the largest own variation
    of all clips.
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
    """Return whether a clip can be used to compare texts.

    Such a clip is well recognised and not too short. ``text`` is its solo transcript.
    Digits that the server writes as one number count as one word.
    """
    errors = words(utterance.text, text, language=utterance.language).errors
    alone = SoloTranscript(utterance, text, (text,), noise=0)
    recognised = errors.rate is not None and errors.rate <= USABLE_WER
    return recognised and alone.is_beyond_noise(alone.words)


@dataclass(frozen=True, slots=True)
class _Compared:
    """The text of an item, and the solo transcript (``solo``) of its clip.

    ``place`` is the index of the session of the item.
    """

    place: int
    item: int
    solo: SoloTranscript
    text: str

    def violation(self, message: str) -> Violated:
        return Violated(message, (), self.place)


Solos = Mapping[str, SoloTranscript]


def _compared(evidence: Evidence, solos: Solos, *roles: str) -> list[_Compared]:
    """Return the texts in these roles whose clips have solo transcripts."""
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
    """Return a check of the texts that came in these roles.

    A text is checked only if its clip has a solo transcript. The check is undecided if
    fewer than ``clips`` clips have a solo transcript.
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


# Checks for the text of the solo transcript, and for texts of other clips


def same_text(role: str) -> Check:
    """Return a check that a clip in this role gets the text that it gets alone."""

    def check(texts: list[_Compared], _: Solos) -> Outcome:
        if len(texts) < 2:
            return Undecided(
                f"fewer than two texts can be compared with a solo transcript "
                f"(sessions: {role})"
            )
        by_clip: dict[str, list[_Compared]] = {}
        for each in texts:
            by_clip.setdefault(each.solo.utterance.id, []).append(each)
        for repeats in (texts, *by_clip.values()):
            wrong = [each for each in repeats if each.solo.differs(each.text)]
            if not_random(len(wrong), len(repeats)):
                text, solo = wrong[0].text, wrong[0].solo
                return wrong[0].violation(
                    f"{len(wrong)} of {len(repeats)} texts differ from the solo "
                    f"transcript of their clip: {text!r} instead of {solo.text!r} "
                    f"({solo.distance(text)} of {solo.words} words differ; the "
                    f"server's own variation is {several(solo.noise, 'word')})"
                )
        return Satisfied()

    return per_text(check, role)


def kept_apart(*roles: str, later: bool = False) -> Check:
    """Return a check that no text has at least half of the words of another clip.

    A word of the other clip does not count if the utterance's own clip also got this
    word when it was sent alone. With ``later``, the first utterance of each session is
    not checked.
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
                    continue  # the clips are too much alike, or too short
                checked = True
                found = (foreign & Counter(other.words_of(each.text))).total()
                if own.is_beyond_noise(found) and 2 * found >= foreign.total():
                    return each.violation(
                        f"the text {each.text!r} came for the clip {own.text!r} but "
                        f"has words of another clip, {other.text!r}"
                    )
        if not checked:
            return Undecided(
                "no text can be checked: each clip with a final is too short, or too "
                "similar to the other clips"
            )
        return Satisfied()

    return per_text(check, *roles, clips=2)


def _foreign(own: SoloTranscript, other: SoloTranscript) -> Counter[str]:
    """Return the words of the clip ``other`` that are in no solo text of ``own``."""
    usual = set(other.words_of(" ".join(own.repeats)))
    return Counter(word for word in other.words_of(other.text) if word not in usual)


def if_in_time(role: str, check: Check) -> Check:
    """Return ``check`` for sessions whose late audio was read before the final.

    Late audio is audio that the client sends after the commit. After the late audio,
    the client sends an invalid frame. A server reads frames in their order. So if it
    refuses the invalid frame before the final, it has also read the late audio before
    the final. ``check`` gets only such sessions of this role, and all sessions of other
    roles.
    """

    def check_kept(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        kept = [p for p in evidence.parts if p.role != role or _before_final(p)]
        if not any(part.role == role for part in kept):
            return Undecided(
                "in each session, the final came before the server had read the audio "
                "that was sent after the commit"
            )
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
            # A word that a solo text lacks is not expected in other texts.
            if all(each.solo.kept_words(text)[place] for text in each.solo.repeats)
        ]
        if len(always) < 2:
            return Undecided(
                f"fewer than two texts can be checked for their {name} word "
                f"(sessions: {', '.join(roles)})"
            )
        lost = [each for each in always if not each.solo.kept_words(each.text)[place]]
        if len(lost) < 2:  # a single word may be a recognition error
            return Satisfied()
        return lost[0].violation(
            f"the {name} word is missing in {len(lost)} of {len(always)} texts: "
            f"{lost[0].text!r} instead of {lost[0].solo.text!r}"
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
    """Return a check that both clips of an utterance are in its text.

    At least half of the words of each clip must be in the text.
    """

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
    """Return a message if a text lacks most of a clip, or ``None`` otherwise."""
    there = Counter(solo.words_of(solo.text)) & Counter(solo.words_of(text))
    if 2 * (there.total() + solo.noise) >= solo.words:
        return None
    return (
        f"the text {text!r} has only {there.total()} of the {solo.words} words of the "
        f"solo transcript {solo.text!r}"
    )


def keeps_start(role: str) -> Check:
    """Return a check that the text of a long utterance starts with its first clip.

    The first solo transcript is taken as the text of the first clip. At least half of
    the words of this transcript must be at the start of the text.
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
                    f"over half of the words of the first clip, {first.text!r}, are "
                    f"missing from the start of the text, {text[:120]!r}",
                    (),
                    evidence.index(part),
                )
        return Satisfied()

    return _with_solos(check, role)


# Texts of speech, and texts that must be empty


def speech_has_text(role: str) -> Check:
    """Return a check that speech is transcribed: at least one final has words."""

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
            return Violated(
                f"speech was sent, but no final has a word (finals: {len(texts)})", ()
            )
        return Satisfied()

    return check


def wordless(role: str) -> Check:
    """Return a check that an utterance without speech gets no text."""

    def check(part: Part) -> Outcome | None:
        outcome: Outcome | None = None
        for item, utterance in part.spoken.items():
            text = None if utterance.text else part.text(item)
            if text is not None and text.strip():
                return Violated(
                    f"the text {text!r} came for an utterance without speech", ()
                )
            if text is not None:
                outcome = Satisfied()
        return outcome

    return any_session(check, role, nothing="no final came")


def starts_nothing(role: str) -> Check:
    """Return a check that an utterance whose start was refused gets no text."""

    def check(part: Part) -> Outcome:
        if not part.timeline.refusals:
            return Undecided("the server did not refuse the start of the utterance")
        if not part.timeline.heard:
            return Undecided("no audio was sent after the refusal")
        for event in part.timeline.events:
            if isinstance(event, Partial | Final):
                return Violated(
                    "a text came for an utterance whose start the server had refused",
                    first_at(part, event.at),
                )
        return Satisfied()

    return per_session(check, role, fold=first_unsatisfied)


def no_repetition(role: str) -> Check:
    """Return a check that no text repeats the same words three times in a row.

    A repetition that the reference transcript has too is allowed.
    """

    def check(part: Part) -> Outcome | None:
        outcome: Outcome | None = None
        for item, utterance in part.spoken.items():
            if (text := part.text(item)) is None:
                continue
            if has_words(text):
                outcome = Satisfied()
            aligned = words(utterance.text, text, language=utterance.language)
            if thrice := repeated(aligned):
                return Violated(
                    f"the text has {thrice!r} three times in a row, unlike the "
                    f"reference transcript: {text!r}",
                    (),
                )
        return outcome

    return any_session(check, role, nothing="no final with words came")
