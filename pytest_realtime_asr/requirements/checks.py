"""Judges of what is the same in every dialect: they read timelines, texts and ends.

Each function here makes a judge. Most look at the sessions of one ``role`` of a
scenario; where there is none, or where the server cannot be told by them, the judge is
undecided and says why.

Fair judging of text: it goes by the server's own text of a clip, spoken alone
(`pytest_realtime_asr.requirements.pseudo_reference`). A clip of which more than 20 % of
the words are wrong even alone is not used to judge text, nor is one that is shorter
than what is tolerated.

No judging of nothing: a judge is satisfied only where something could have broken the
requirement. A server that says nothing, or refuses everything, satisfies hardly any.

Fair judging of time: what comes late because we were late, or because the audio was
handed over faster than it is spoken, is held against nobody.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.metrics.latency import has_words, longest_gap
from pytest_realtime_asr.metrics.pacing import pace_deviation, scheduling_delay
from pytest_realtime_asr.metrics.repetition import repeated
from pytest_realtime_asr.requirements.evidence import Evidence, Gauges, Part
from pytest_realtime_asr.requirements.pseudo_reference import (
    SoloTranscript,
    level,
    measure,
    settled,
)
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.redaction import REMOVED, WRITTEN
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.observation import Message, Observation
from pytest_realtime_asr.trace.records import HIDDEN, Ending, Sender, Trace
from pytest_realtime_asr.trace.timeline import Final, Heard, Partial, Timeline

ALONE = "alone"  # the role of the sessions that give the yardsticks
USABLE = 0.2  # of the words that may be wrong in a clip by which text is judged
LATE = 2.5  # s of our own lateness with which it tells nothing that nothing came
FASTER = 0.05  # by which the audio may come faster than it is spoken

_ENDED_BY_US = (Ending.CLOSED_BY_US, Ending.CANCELLED)


# What a session shows


def why(part: Part) -> str:
    """Why a session ended."""
    end = part.trace.end
    reason = printable(end.reason)
    said = f": {reason}" if reason else ""
    if end.how is Ending.CLOSED_BY_PEER:
        return f"the server closed {end.coded}{said}"
    if end.how is Ending.BROKEN:
        return f"the connection broke off{said}"
    return reason or end.how.value


def absent(evidence: Evidence, *roles: str) -> Undecided | None:
    """Why the sessions of these roles show nothing, if they do not."""
    parts = evidence.role(*roles)
    if not parts:
        return Undecided(f"no session was held for it ({', '.join(roles)})")
    if all(part.trace.opened is None for part in parts):
        return Undecided(f"no session could be opened: {why(parts[0])}")
    return None


def _place(part: Part, at: int) -> tuple[int, ...]:
    """The first record at or after this time, to show it."""
    records = part.trace.records
    return tuple(i for i, record in enumerate(records) if record.at >= at)[:1]


def _said(part: Part) -> Iterator[tuple[int, str]]:
    """The index and the text of each text frame of the server."""
    for index, record in enumerate(part.trace.records):
        if record.sender is Sender.SERVER and record.text is not None:
            yield index, record.text


def _finals(evidence: Evidence, part: Part, *, first: int = 0) -> Outcome:
    """What became of the utterances of a session, from this one on."""
    spoken = [(i, clip.id) for i, clip in part.spoken.items() if i >= first]
    if not spoken:
        return _loss(evidence, part, "no utterance could be begun")
    return _all(
        Satisfied()
        if part.text(item) is not None
        else _loss(evidence, part, f"no final of {name} came")
        for item, name in spoken
    )


def _loss(evidence: Evidence, part: Part, what: str) -> Outcome:
    """What it means that a session gave less than it should."""
    if part.trace.opened is None:
        return Undecided(f"{what}: the session could not be opened: {why(part)}")
    place = evidence.index(part)
    if part.trace.end.how not in _ENDED_BY_US:
        last = tuple(range(len(part.trace.records)))[-1:]
        return Violated(f"{what}: {why(part)}", last, place)
    refusals = part.timeline.refusals
    if not refusals or _by_hand(part):  # what is sent by hand may be refused
        ours = "it was we who closed"
        if part.trace.end.how is Ending.CANCELLED:
            ours = why(part)
        return Undecided(f"{what}: {ours}")
    refusal = refusals[-1]
    return Violated(
        f"{what}: refused: {refusal}",
        _place(part, refusal.at),
        place,
    )


def _all(outcomes: Iterable[Outcome]) -> Outcome:
    """The first that violates, else the first that is undecided, else satisfied."""
    found: Outcome = Satisfied()
    for outcome in outcomes:
        if isinstance(outcome, Violated):
            return outcome
        if isinstance(found, Satisfied):
            found = outcome
    return found


def both(*trials: Check) -> Check:
    """All of these hold."""
    return lambda evidence: _all(trial(evidence) for trial in trials)


# Frames, one session at a time


def records(observation: Observation, kind: type, sender: Sender) -> list[int]:
    """The indexes of the records of ``sender`` that hold a message of this kind."""
    return [
        index
        for index, (record, message) in enumerate(
            zip(observation.trace.records, observation.messages, strict=True)
        )
        if record.sender is sender and isinstance(message, kind)
    ]


def cut(observation: Observation) -> bool:
    """Whether it was we who ended the session, so that the rest is not known."""
    return observation.trace.end.how in _ENDED_BY_US


def ended(observation: Observation) -> str:
    """Why the session ended."""
    end = observation.trace.end
    return printable(end.reason) or end.how.value


def named(message: Message) -> str:
    """What a message is, in words."""
    match message:
        case Unknown(type=kind):
            return f"of unknown type {kind!r}"
        case Malformed(reason=reason):
            return reason
    return message.move


def first_event(identity: Callable[[Message], str | None]) -> SessionCheck:
    """A judge: the first frame of the server opens the session and carries its id.

    ``identity`` gives the id that is in a message, ``None`` where it opens none.
    """

    def judge(observation: Observation) -> Outcome:
        frames = observation.trace.records
        first = next(
            (i for i, r in enumerate(frames) if r.sender is Sender.SERVER), None
        )
        if first is None:
            if observation.trace.opened is None or cut(observation):
                return Undecided("the session was over before the server could speak")
            return Violated(f"nothing came: {ended(observation)}", ())
        message = observation.messages[first]
        name = identity(message)
        if name is None:
            return Violated(f"the first event was {named(message)}", (first,))
        if not name:
            return Violated(f"{message.move} has an empty id", (first,))
        return Satisfied()

    return judge


def well_formed(sender: Sender) -> SessionCheck:
    """A judge: every frame of this side is an event with the fields of its type."""

    def judge(observation: Observation) -> Outcome:
        wrong = records(observation, Malformed, sender)
        if wrong:
            return Violated(named(observation.messages[wrong[0]]), tuple(wrong))
        return _spoke(observation, sender)

    return judge


def known_events(sender: Sender, own: tuple[str, ...]) -> SessionCheck:
    """A judge: this side sends no event that the protocol does not know.

    What a server calls by a name that begins with none of the protocol's ``own`` is an
    extension.
    """

    def claims(message: Message) -> bool:
        """Whether it is called like one of the protocol, or has no type."""
        assert isinstance(message, Unknown)
        return message.type is None or message.type.startswith(own)

    def judge(observation: Observation) -> Outcome:
        wrong = [
            index
            for index in records(observation, Unknown, sender)
            if sender is Sender.CLIENT or claims(observation.messages[index])
        ]
        if wrong:
            name = named(observation.messages[wrong[0]])
            return Violated(f"an event {name}", tuple(wrong))
        return _spoke(observation, sender)

    return judge


def _spoke(observation: Observation, sender: Sender) -> Outcome:
    """Whether this side sent anything by which it could be judged."""
    if any(record.sender is sender for record in observation.trace.records):
        return Satisfied()
    return Undecided(f"the {sender.value} said nothing")


# Finals


def finishes(*roles: str) -> Check:
    """Each utterance of these sessions gets its final."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        return _all(_finals(evidence, part) for part in evidence.role(*roles))

    return judge


def answers(role: str) -> Check:
    """The first utterance gets its final, or an error, and a later one its final."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        return _all(_outcome(evidence, part) for part in evidence.role(role))

    def _outcome(evidence: Evidence, part: Part) -> Outcome:
        refused = part.text(0) is None and part.timeline.item(0).refusals
        if refused and len(part.spoken) < 2 and part.trace.end.how in _ENDED_BY_US:
            return Undecided("it was refused, and no other was spoken after it")
        return _finals(evidence, part, first=1 if refused else 0)

    return judge


def survives(role: str) -> Check:
    """What was done in ``role`` harms neither a bystander nor a fresh session."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        outcome = finishes("bystander", "fresh")(evidence)
        fresh = evidence.role("fresh")
        if any(part.timeline.final is not None for part in fresh):
            return outcome  # it is there, even if it was too busy to say so
        if evidence.gauges and (lost := evidence.gauges[-1].lost):
            return Violated(f"the server is gone: {lost}", ())
        if isinstance(outcome, Violated):
            return outcome
        if not fresh:
            return Undecided("no fresh session was held after it")
        if fresh[0].trace.opened is not None:
            return outcome
        return Violated(
            f"no fresh session could be opened after it: {why(fresh[0])}",
            (),
            evidence.index(fresh[0]),
        )

    return judge


def unharmed(role: str) -> Check:
    """No random session in ``role`` went wrong, and none harmed anybody else."""

    def judge(evidence: Evidence) -> Outcome:
        for finding in evidence.findings:
            if finding.role == role:
                part = evidence.role(role)[-1]
                return Violated(
                    f"{finding.what}\n\n{finding.script}",
                    tuple(range(len(part.trace.records)))[-1:],
                    evidence.index(part),
                )
        return survives(role)(evidence)

    return judge


def refused(role: str, what: str, *codes: str) -> Check:
    """A misuse is answered by an error, with one of these codes, and is outlived.

    Without ``codes`` any error will do.
    """

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        return _all(_outlived(evidence, part) for part in evidence.role(role))

    def _outlived(evidence: Evidence, part: Part) -> Outcome:
        misuses = tuple(i for i, r in enumerate(part.trace.records) if r.raw)
        if not misuses:
            return Undecided(f"{what} was not sent: {why(part)}")
        if part.trace.end.how is Ending.CANCELLED:
            return Undecided(why(part))
        if wrong := _wrong(part, len(misuses)):
            return Violated(wrong, misuses, evidence.index(part))
        return _finals(evidence, part)

    def _wrong(part: Part, misuses: int) -> str:
        answers = _answers(part)
        if len(answers) < misuses:
            if part.trace.end.how not in _ENDED_BY_US:
                return f"{what} was answered by no error: {why(part)}"
            known = f"{len(answers)} errors" if answers else "no error"
            count = f"{misuses} of them" if misuses > 1 else what
            return f"{count} got {known} within the time given"
        others = [code for code in answers[:misuses] if codes and code not in codes]
        if not others:
            return ""
        wanted = " or ".join(codes)
        known = printable(others[0]) or "no code"
        return f"{what} was answered by {known}, not by {wanted}"

    return judge


def _answers(part: Part) -> list[str]:
    """The codes of the errors that came after the first frame by hand had left."""
    left = next(r.woke or 0 for r in part.trace.records if r.raw)
    return [each.code for each in part.timeline.refusals if each.at >= left]


def silent(role: str, what: str) -> Check:
    """A frame sent by hand is not answered by anything (an oddity that is known)."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        for part in evidence.role(role):
            if not _by_hand(part):
                return Undecided(f"{what} was not sent: {why(part)}")
            if codes := _answers(part):
                return Violated(
                    f"{what} was answered by {printable(codes[0]) or 'an error'}",
                    (),
                    evidence.index(part),
                )
            if not spoke_after_hand(part.observation):
                return Undecided(f"the server said nothing at all after {what}")
        return Satisfied()

    return judge


def _by_hand(part: Part) -> bool:
    return any(record.raw for record in part.trace.records)


def spoke_after_hand(observation: Observation) -> bool:
    """Whether the server said anything after the first frame that was sent by hand."""
    records = observation.trace.records
    first = next((i for i, record in enumerate(records) if record.raw), len(records))
    return any(record.sender is Sender.SERVER for record in records[first:])


# Texts


def solo_transcripts(evidence: Evidence) -> dict[str, SoloTranscript]:
    """A yardstick for each clip that was spoken alone and is of use for text.

    The noise is that of the noisiest clip, for all of them.
    """
    texts: dict[str, list[str]] = {}
    clips: dict[str, Utterance] = {}
    for part in evidence.role(ALONE):
        for item, utterance in part.spoken.items():
            clips[utterance.id] = utterance
            if (text := part.text(item)) is not None:
                texts.setdefault(utterance.id, []).append(text)
    found = {name: measure(clips[name], said) for name, said in texts.items()}
    return level(
        {
            name: each
            for name, each in found.items()
            if usable(each.utterance, each.text)
        }
    )


def usable(utterance: Utterance, text: str) -> bool:
    """Whether a clip is recognised so well, and so long, that its text tells anything.

    Digits may be written as one number, and then are one word.
    """
    errors = words(utterance.text, text, language=utterance.language).errors
    alone = SoloTranscript(utterance, text, (text,), noise=0)
    well = errors.rate is not None and errors.rate <= USABLE
    return well and alone.tells(alone.words)


_NO_USE = Undecided(
    "no text tells anything: alone, each clip of the corpus has over 20 % WER, or is "
    "too short for the server's own noise; --realtime-corpus names other clips"
)


@dataclass(frozen=True, slots=True)
class _Told:
    """The text of an item of a session, and the yardstick of its clip."""

    part: Part
    item: int
    clip: SoloTranscript
    text: str


def _texts(
    evidence: Evidence, known: Mapping[str, SoloTranscript], *roles: str
) -> Iterator[_Told]:
    """Each text of these sessions that there is a yardstick for."""
    for part in evidence.role(*roles):
        for item, utterance in part.spoken.items():
            text, clip = part.text(item), known.get(utterance.id)
            if text is not None and clip is not None:
                yield _Told(part, item, clip, text)


def same_text(role: str) -> Check:
    """The text of a clip in this role is the one that it has alone."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        known = solo_transcripts(evidence)
        if not known:
            return _NO_USE
        told = list(_texts(evidence, known, role))
        if len(told) < 2:
            return Undecided(f"fewer than two texts came ({role})")
        by_clip: dict[str, list[_Told]] = {}
        for each in told:
            by_clip.setdefault(each.clip.utterance.id, []).append(each)
        for repeats in (told, *by_clip.values()):
            wrong = [each for each in repeats if each.clip.another(each.text)]
            if not settled(len(wrong), len(repeats)):
                continue
            text, clip = wrong[0].text, wrong[0].clip
            return Violated(
                f"{text!r} in {len(wrong)} of {len(repeats)} repeats, but alone "
                f"{clip.text!r} ({clip.off(text)} of {clip.words} words differ; own "
                f"noise {clip.noise})",
                (),
                evidence.index(wrong[0].part),
            )
        return Satisfied()

    return judge


def kept_apart(*roles: str, later: bool = False) -> Check:
    """No utterance of these sessions has the text of another one, in part or whole.

    Where ``later``, the first utterance of each session may have it.
    """

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        known = solo_transcripts(evidence)
        if len(known) < 2:
            return _NO_USE
        judged = False
        for told in _texts(evidence, known, *roles):
            own, text = told.clip, told.text
            for other in known.values():
                foreign = _foreign(own, other)
                if not own.tells(foreign.total()) or (later and not told.item):
                    continue  # they are too much alike, or too short
                judged = True
                found = (foreign & Counter(other.heard(text))).total()
                if own.tells(found) and 2 * found >= foreign.total():
                    return Violated(
                        f"{text!r} was heard for {own.text!r}, which another "
                        f"utterance, {other.text!r}, has got into",
                        (),
                        evidence.index(told.part),
                    )
        if not judged:
            return Undecided("no text came of a clip that differs enough from another")
        return Satisfied()

    return judge


def in_time(role: str, trial: Check) -> Check:
    """A judge that takes of a role only sessions whose misuse was heard in time.

    That is so where it was followed by a frame that the server refuses, and that
    refusal came before the first final: frames are heard in their order.
    """

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        kept = [p for p in evidence.parts if p.role != role or _before_final(p)]
        if not any(part.role == role for part in kept):
            return Undecided("the final came before the rest was heard")
        outcome = trial(replace(evidence, parts=tuple(kept)))
        if not isinstance(outcome, Violated):
            return outcome
        return replace(outcome, part=evidence.index(kept[outcome.part]))

    return judge


def _before_final(part: Part) -> bool:
    final, refusals = part.timeline.final, part.timeline.refusals
    return final is not None and bool(refusals) and refusals[0].at < final.at


def keeps_begin(role: str) -> Check:
    """The text of a long utterance begins with what was said first in it.

    What is said first is the clip that is spoken most.
    """

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        known = list(solo_transcripts(evidence).values())
        if not known:
            return _NO_USE
        first = known[0]
        for part in evidence.role(role):
            text = part.text(0)
            if text is None:
                return Undecided(f"no final came: {why(part)}")
            head = first.heard(text)[: first.words + 1]
            found = (Counter(first.heard(first.text)) & Counter(head)).total()
            if 2 * found < first.words:
                return Violated(
                    f"{text[:120]!r} begins without {first.text!r}",
                    (),
                    evidence.index(part),
                )
        return Satisfied()

    return judge


def _foreign(own: SoloTranscript, other: SoloTranscript) -> Counter[str]:
    """The words of another clip that a clip never has when it is spoken alone."""
    usual = set(other.heard(" ".join(own.repeats)))
    return Counter(word for word in other.heard(other.text) if word not in usual)


def begins(*roles: str) -> Check:
    """The first word of each utterance is there."""
    return _edge(0, "first", *roles)


def ends(*roles: str) -> Check:
    """The last word of each utterance is there."""
    return _edge(-1, "last", *roles)


def _edge(place: int, name: str, *roles: str) -> Check:
    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        known = solo_transcripts(evidence)
        if not known:
            return _NO_USE
        told = [
            each
            for each in _texts(evidence, known, *roles)
            # Else it is not even there each time alone.
            if all(each.clip.kept(text)[place] for text in each.clip.repeats)
        ]
        if len(told) < 2:
            return Undecided(f"fewer than two texts came ({', '.join(roles)})")
        lost = [each for each in told if not each.clip.kept(each.text)[place]]
        if len(lost) < 2:  # one may be a word that the server took for another
            return Satisfied()
        return Violated(
            f"the {name} word is lost in {len(lost)} of {len(told)} utterances: "
            f"{lost[0].clip.text!r} became {lost[0].text!r}",
            (),
            evidence.index(lost[0].part),
        )

    return judge


def present(role: str) -> Check:
    """Of a clip, half of the words at least are in its text."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        known = solo_transcripts(evidence)
        if not known:
            return _NO_USE
        told = list(_texts(evidence, known, role))
        for each in told:
            if lost := _lost(each.clip, each.text):
                return Violated(lost, (), evidence.index(each.part))
        return Satisfied() if told else Undecided("no final came")

    return judge


def joined(role: str) -> Check:
    """Two clips that were spoken as one utterance are both in its text."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        known = solo_transcripts(evidence)
        if len(known) < 2:
            return _NO_USE
        told = [(part, part.text(0)) for part in evidence.role(role)]
        for part, text in told:
            for clip in list(known.values())[:2]:
                if text is not None and (lost := _lost(clip, text)):
                    return Violated(lost, (), evidence.index(part))
        if all(text is None for _, text in told):
            return Undecided("no final came")
        return Satisfied()

    return judge


def _lost(clip: SoloTranscript, text: str) -> str:
    """That more than half of a clip is not in a text, if so."""
    there = Counter(clip.heard(clip.text)) & Counter(clip.heard(text))
    if 2 * (there.total() + clip.noise) >= clip.words:
        return ""
    return f"{text!r} has {there.total()} of the {clip.words} words of {clip.text!r}"


def wordless(role: str, item: int) -> Check:
    """An utterance in which nothing was said has no text."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        texts = [(part, part.text(item)) for part in evidence.role(role)]
        for part, text in texts:
            if text is not None and text.strip():
                return Violated(
                    f"{text!r} was heard where nothing was said",
                    (),
                    evidence.index(part),
                )
        if all(text is None for _, text in texts):
            return Undecided("no final came")
        return Satisfied()

    return judge


def unheard(role: str) -> Check:
    """An utterance whose begin was refused gets neither text nor final."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        for part in evidence.role(role):
            if not part.timeline.refusals:
                return Undecided("nothing was refused")
            if not part.timeline.heard:
                return Undecided("no audio was sent after the refusal")
            for event in part.timeline.events:
                if isinstance(event, Partial | Final):
                    return Violated(
                        "text came, or a final, though the begin was refused",
                        _place(part, event.at),
                        evidence.index(part),
                    )
        return Satisfied()

    return judge


def spoken_text(role: str) -> Check:
    """Speech gives text at all."""

    def judge(evidence: Evidence) -> Outcome:
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

    return judge


def unrepeated(role: str) -> Check:
    """No text says the same thing three times over."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        judged = False
        for part in evidence.role(role):
            for item, utterance in part.spoken.items():
                if (text := part.text(item)) is None:
                    continue
                judged |= has_words(text)
                heard = words(utterance.text, text, language=utterance.language)
                if thrice := repeated(heard):
                    return Violated(
                        f"{thrice!r} three times in a row in {text!r}",
                        (),
                        evidence.index(part),
                    )
        return Satisfied() if judged else Undecided("no final with a word came")

    return judge


# When text comes


def meanwhile(role: str) -> Check:
    """Text comes while the audio is still being sent."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        for part in evidence.role(role):
            timeline = part.timeline.item(0)
            # Before the first text with words, no edit has left any.
            said = (edit.at for edit in timeline.edits if has_words(edit.added))
            first = next(said, None)
            if timeline.commit is None or first is None:
                return Undecided(f"no text came at all: {why(part)}")
            if first <= timeline.commit.due:
                continue
            if doubt := _untimely(timeline, LATE):
                return Undecided(doubt)
            seconds = sum(frame.size for frame in timeline.heard) / 2 / timeline.rate
            return Violated(
                f"no text came in the {seconds:.1f} s in which audio was sent",
                (),
                evidence.index(part),
            )
        return Satisfied()

    return judge


def unstalled(role: str, *, most: float) -> Check:
    """Between two pieces of text pass at most ``most`` s, while speech is sent."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        for part in evidence.role(role):
            timeline = part.timeline.item(0)
            stall = longest_gap(timeline)
            if timeline.commit is None or stall is None:
                return Undecided(f"the audio was not sent to its end: {why(part)}")
            pace = min(1.0, 1 + (pace_deviation(timeline) or 0.0))
            if stall / 1000 <= most * pace:
                continue
            if doubt := _untimely(timeline, stall / 1000 - most):
                return Undecided(doubt)
            return Violated(
                f"no new text for {stall / 1000:.1f} s while speech was sent; at most "
                f"{most:g} s",
                (),
                evidence.index(part),
            )
        return Satisfied()

    return judge


def _untimely(timeline: Timeline, most: float) -> str:
    """Why times of this session tell nothing of the server, if they do not.

    That is if the audio was handed over too fast, or we were later than ``most`` s.
    """
    if (pace_deviation(timeline) or 0.0) < -FASTER:
        return "the audio was sent faster than it is spoken"
    late = (scheduling_delay(timeline) or 0.0) / 1000
    return f"we ourselves were {late:.1f} s late" if late > most else ""


def not_early(evidence: Evidence) -> Outcome:
    """No text comes before any audio of its utterance was sent.

    Utterances end in their order, so that a text belongs to none of the first n once n
    finals have come; to which of the others it does is not known where frames cross.
    Nor is it after a frame by hand, which may have ended an utterance, or where the
    server ended some by itself and we others.
    """
    judged = False
    for place, part in enumerate(evidence.parts):
        both_end = part.timeline.endpoints and part.timeline.commit is not None
        if _by_hand(part) or both_end:
            continue
        latest, finals = -1, 0
        for event in part.timeline.events:
            if isinstance(event, Heard):
                latest = max(latest, event.item)
            elif isinstance(event, Final):
                finals += 1
            elif isinstance(event, Partial):
                judged = True
                if latest < finals and event.added.strip():
                    return Violated(
                        f"the text {event.added!r} came before any audio was sent",
                        _place(part, event.at),
                        place,
                    )
    return Satisfied() if judged else Undecided("no text came")


# What must never be shown

_TOKENS = re.compile(r"<\|[^|>]*\|?>|<asr_text>|\[BLANK_AUDIO\]|\[(?:PAD|UNK)\]|</?s>")
_OVERLAP = 40  # characters of a token that may have come before the rest of it
_TRACE = re.compile(r'Traceback \(most recent call last\)|File \\?"[^"]+", line \d+')


def _in_texts(pattern: Callable[[str], str], what: str) -> Check:
    """A judge: what the pattern finds is in no text of the server."""

    def judge(evidence: Evidence) -> Outcome:
        judged = False
        for place, part in enumerate(evidence.parts):
            for at, text in _pieces(part.timeline):
                judged |= bool(text)
                if found := pattern(text):
                    return Violated(
                        f"{what} {found!r} in {text[:120]!r}", _place(part, at), place
                    )
        return Satisfied() if judged else Undecided("no text came")

    return judge


def _pieces(timeline: Timeline) -> Iterator[tuple[int, str]]:
    """The time and what is new of each text, with the end of what was there before."""
    text, length = StringIO(), 0
    for event in timeline.events:
        if isinstance(event, Partial):
            kept = min(event.kept, length)
            text.seek(kept)
            text.truncate()
            text.write(event.added)
            length = kept + len(event.added)
            text.seek(max(0, kept - _OVERLAP))
            yield event.at, text.read()
        elif isinstance(event, Final):
            yield event.at, event.text


def _broken_character(text: str) -> str:
    found = re.search("[\ufffd\ud800-\udfff]", text)
    return found.group() if found else ""


def _control_token(text: str) -> str:
    found = _TOKENS.search(text)
    return found.group() if found else ""


whole_characters = _in_texts(_broken_character, "a broken character")
no_control_tokens = _in_texts(_control_token, "a token of the model")


def no_trace(evidence: Evidence) -> Outcome:
    """No frame, close reason or page shows a stack trace."""
    return _unsaid(evidence, lambda text: bool(_TRACE.search(text)), "a stack trace")


def no_secret(evidence: Evidence) -> Outcome:
    """No frame, close reason or page shows the key that the client gave.

    Frames are decoded first: a key that is spelled otherwise is shown all the same. So
    is one that runs over the same field of several frames.
    """
    what = "the client's key"
    for answer in evidence.answers:
        known = (part.trace.redactor for part in evidence.parts)
        if answer.status and any(each.shows(answer.body) for each in known):
            return Violated(f"{answer.role}: the page shows {what}", ())
    judged = any(answer.status for answer in evidence.answers)
    for place, part in enumerate(evidence.parts):
        said = list(_said(part))
        judged |= bool(said)
        if shown := _shown(part.trace, said):
            return Violated(f"the server shows {what}", shown, place)
        end = part.trace.end
        if end.how is Ending.CLOSED_BY_PEER and _hidden(part.trace, end.reason):
            return Violated(f"the reason of the close shows {what}", (), place)
    return Satisfied() if judged else Undecided("the server said nothing")


def _shown(trace: Trace, said: Sequence[tuple[int, str]]) -> tuple[int, ...]:
    """Return the indexes of the frames that show a secret of the client."""
    found = trace.redactor.shown_by([text for _, text in said])
    shown = {said[place][0] for place in found}
    for index, record in enumerate(trace.records):
        if record.sender is Sender.SERVER:
            text = record.text or (record.data or b"").decode("latin-1")
            if _hidden(trace, text):
                shown.add(index)
    return tuple(sorted(shown))


def _hidden(trace: Trace, text: str) -> bool:
    """Return whether a secret is in a text, or was when the trace was written."""
    if trace.redactor is WRITTEN:
        return REMOVED in text
    return trace.redactor.shows(text) or text.endswith(HIDDEN)


def unsaid(secret: str, what: str) -> Check:
    """What was given to the server by hand does not come back from it."""

    def judge(evidence: Evidence) -> Outcome:
        given = [part for part in evidence.parts if _by_hand(part)]
        if not given:
            return Undecided(f"{what} was not given to it")
        if not any(map(_answers, given)):
            return Undecided(f"no error came after {what} was given to it")
        return _unsaid(evidence, lambda text: secret in text, what)

    return judge


def _unsaid(evidence: Evidence, holds: Callable[[str], bool], what: str) -> Outcome:
    for answer in evidence.answers:
        if answer.status and holds(answer.body):
            return Violated(f"{answer.role}: the page shows {what}", ())
    judged = any(answer.status for answer in evidence.answers)
    for place, part in enumerate(evidence.parts):
        for index, text in _said(part):
            judged = True
            if holds(text):
                return Violated(f"the server shows {what}", (index,), place)
        end = part.trace.end
        if end.how is Ending.CLOSED_BY_PEER and holds(end.reason):
            return Violated(f"the reason of the close shows {what}", (), place)
    return Satisfied() if judged else Undecided("the server said nothing")


def coded(evidence: Evidence) -> Outcome:
    """Each error has a message and a code."""
    judged = False
    for place, part in enumerate(evidence.parts):
        for refusal in part.timeline.refusals:
            judged = True
            if not refusal.code or not refusal.message:
                missing = "message" if refusal.code else "code"
                return Violated(
                    f"an error without a {missing}", _place(part, refusal.at), place
                )
    return Satisfied() if judged else Undecided("no error came")


def explained_close(evidence: Evidence) -> Outcome:
    """A server that ends a session says why: by an error, or by a close of its own.

    A close with 1011, or none at all, needs an error before it.
    """
    judged = False
    for place, part in enumerate(evidence.parts):
        end, trace = part.trace.end, part.trace
        if trace.opened is None:
            continue
        judged = True
        bare = end.how is Ending.BROKEN and end.code is None
        if end.how is Ending.CLOSED_BY_PEER and end.code in (1006, 1011):
            bare = True
        if bare and not part.timeline.refusals:
            return Violated(f"no error came before: {why(part)}", (), place)
    return Satisfied() if judged else Undecided("no session was opened")


# The life of a connection


def unique_ids(*roles: str) -> Check:
    """Each session has an id of its own."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        seen: dict[str, int] = {}
        for part in evidence.role(*roles):
            name = part.timeline.session
            if name and name in seen:
                return Violated(
                    f"two sessions have the id {name!r}", (), evidence.index(part)
                )
            seen[name] = evidence.index(part)
        if len([name for name in seen if name]) < 2:
            return Undecided("fewer than two sessions have an id")
        return Satisfied()

    return judge


def pongs(*roles: str) -> Check:
    """Each ping is answered in time."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        judged = False
        for part in evidence.role(*roles):
            for ping in part.trace.pings:
                judged = True
                if ping.answered is not None:
                    continue
                if doubt := _unheard(part, ping.sent):
                    return Undecided(doubt)
                return Violated(
                    "a ping was not answered in time",
                    _place(part, ping.sent),
                    evidence.index(part),
                )
        return Satisfied() if judged else Undecided("no ping was sent")

    return judge


def _unheard(part: Part, at: int) -> str:
    """Why it is not the server's fault that nothing came after this time, if so."""
    late = max(part.trace.lag.late, default=0) / 1e9
    if late > LATE:
        return f"we ourselves were {late:.1f} s late"
    gone = part.trace.end.how in (Ending.CLOSED_BY_PEER, Ending.BROKEN)
    spoke = any(
        record.sender is Sender.SERVER and record.at >= at
        for record in part.trace.records
    )
    return f"the session ended: {why(part)}" if gone and not spoke else ""


def closes(role: str) -> Check:
    """Our close frame is answered by one of the server's."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        for part in evidence.role(role):
            end = part.trace.end
            if end.how is not Ending.CLOSED_BY_US:
                return Undecided(f"it was not we who closed: {why(part)}")
            if end.code is None:
                return Violated(
                    "our close frame got no answer", (), evidence.index(part)
                )
        return Satisfied()

    return judge


def closed_with(role: str, codes: Collection[int]) -> Check:
    """The server answers a frame by an error, or closes with one of these codes."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        for part in evidence.role(role):
            end = part.trace.end
            # A close may come while the frame is still on its way out. That it is for
            # the frame is known of a server that spoke before, by what was sent, or by
            # the code for what is too big.
            caused = _by_hand(part) or end.code == 1009
            closed = end.how is Ending.CLOSED_BY_PEER and end.code in codes
            if closed and caused and any(_said(part)):
                continue
            if closed:
                return Undecided(f"it may be for another reason that {why(part)}")
            if not _by_hand(part):
                return Undecided(f"the frame was not taken to its end: {why(part)}")
            if _answers(part):
                continue
            known = why(part)
            if end.how is Ending.CANCELLED:
                return Undecided(known)
            if end.how is Ending.CLOSED_BY_US:
                known = "it was answered by nothing"
            return Violated(known, (), evidence.index(part))
        return Satisfied()

    return judge


def turned_away(role: str, statuses: Collection[int], *, without: str) -> Check:
    """The handshake is refused with one of these statuses.

    ``without`` says why none was tried, where there is no session of the role. A server
    that opens no session at all shows nothing.
    """

    def judge(evidence: Evidence) -> Outcome:
        parts = evidence.role(role)
        if not parts:
            return Undecided(without)
        for part in parts:
            end = part.trace.end
            if part.trace.opened is not None:
                return Violated("the session was opened", (), evidence.index(part))
            if end.code is None:
                return Undecided(f"it was not answered: {why(part)}")
            if end.code not in statuses:
                wanted = ", ".join(map(str, sorted(statuses)))
                return Violated(
                    f"it was refused by HTTP {end.code}, not by one of HTTP {wanted}",
                    (),
                    evidence.index(part),
                )
        return Satisfied() if _opened(evidence) else _ALL_REFUSED

    return judge


_ALL_REFUSED = Undecided("the server opened no session at all")


def _opened(evidence: Evidence) -> bool:
    return any(part.trace.opened is not None for part in evidence.parts)


def answered_plainly(role: str) -> Check:
    """A plain HTTP request is answered, by a status of the client's mistake (4xx).

    A server that opens no session at all shows nothing: what is not there is a 404.
    """

    def judge(evidence: Evidence) -> Outcome:
        for answer in evidence.answers:
            if answer.role != role:
                continue
            if 400 <= answer.status < 500:
                return Satisfied() if _opened(evidence) else _ALL_REFUSED
            said = f"HTTP {answer.status}" if answer.status else answer.body
            return Violated(f"it was answered by {said}", ())
        return Undecided("no plain HTTP request was sent")

    return judge


def freed(role: str, gauge: str) -> Check:
    """What the server counts as open falls again, once these sessions were left.

    It may count those of others too, who come and go: what is blamed is that it stays
    up by as many as were left.
    """

    def judge(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        counts = [
            each.values[gauge] for each in evidence.gauges if gauge in each.values
        ]
        if len(counts) < 2:
            return Undecided(f"the server has no {gauge} in /metrics")
        before, after = counts[0], min(counts[1:])
        left = sum(part.trace.opened is not None for part in evidence.role(role))
        if after - before >= left:
            return Violated(
                f"{gauge} is {after:g} after {left} sessions were left, and was "
                f"{before:g} before",
                (),
            )
        return Satisfied()

    return judge


def unbroken(evidence: Evidence) -> Outcome:
    """The server's process is the same from the first session to the last.

    Several processes may answer in turn: it was restarted if all that are seen later
    are younger than all that were seen before. One that is seen again was never gone.
    """
    seen: list[tuple[float, str]] = []
    lost: Gauges | None = None
    for gauges in evidence.gauges:
        if gauges.lost:
            lost = lost or gauges
            continue
        now = gauges.values.get("process_start_time_seconds")
        if now is None:
            continue
        if now in [started for started, _ in seen]:
            lost = None
        seen.append((now, gauges.after))
    if lost is not None:
        return Violated(f"lost after {lost.after}: {lost.lost}", ())
    for at in range(1, len(seen)):
        if min(seen[at:])[0] > max(seen[:at])[0]:
            return Violated(f"the server was restarted in or after {seen[at][1]}", ())
    return finishes("last")(evidence)
