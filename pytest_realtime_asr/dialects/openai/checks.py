"""Judges of what is said in OpenAI's protocol.

An item is told by its id, and may be named before it is committed: live models send
text as soon as they have heard it. Items may be completed in any order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec

from pytest_realtime_asr.dialects.openai.events import (
    BetaUpdate,
    BetaUpdated,
    Clear,
    Cleared,
    Commit,
    Committed,
    Completed,
    Delta,
    Done,
    Error,
    Failed,
    ItemAdded,
    ItemCreated,
    ItemDone,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
)
from pytest_realtime_asr.dialects.openai.invalid_frames import NO_FORMAT
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
    each,
)
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.trace.recording import Message, Recording
from pytest_realtime_asr.trace.records import TAIL, Ending, Sender

_BEYOND = 20.0  # ms by which a time may lie beyond the audio, for it is rounded
_HOLDS = 30.0  # ms of a clip that a turn has to hold


# What a session shows of its items


@dataclass(slots=True)
class _Item:
    """The indexes of the records that name an item."""

    started: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    deltas: list[int] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)  # completed, and yet to go on
    ends: list[int] = field(default_factory=list)
    announced: list[int] = field(default_factory=list)
    set_up: bool = False  # whether the session was, when it was committed first


def _items(observation: Recording) -> dict[str, _Item]:
    """The items of a session by their ids, in the order in which they are named."""
    found: dict[str, _Item] = {}
    set_up = False

    def at(name: str) -> _Item:
        return found.setdefault(name, _Item())

    for index, message in enumerate(observation.messages):
        match message:
            case SpeechStarted(item_id=name):
                at(name).started.append(index)
            case SpeechStopped(item_id=name):
                at(name).stopped.append(index)
            case SessionUpdate() | BetaUpdate():
                set_up |= not observation.trace.records[index].raw
            case Committed(item_id=name):
                item = at(name)
                item.set_up |= set_up and not item.committed
                item.committed.append(index)
            case Delta(item_id=name):
                at(name).deltas.append(index)
            case Completed(item_id=name, is_last_result=False):
                at(name).parts.append(index)
            case Completed(item_id=name) | Failed(item_id=name):
                at(name).ends.append(index)
            case ItemAdded(item=item) | ItemDone(item=item) | ItemCreated(item=item):
                at(item.id).announced.append(index)
    return found


def each_item(
    wrong: Callable[[Recording, str, _Item], str | None], nothing: str
) -> Check:
    """A judge of items one by one.

    ``wrong`` says what is wrong with one, nothing if all is well, and ``None`` where it
    does not show. Where it shows with none, ``nothing`` is why.
    """

    def judge(observation: Recording) -> Outcome:
        judged = False
        for name, item in _items(observation).items():
            what = wrong(observation, name, item)
            judged |= what is not None
            if what:
                named = (item.ends or item.committed or item.deltas or item.started)[:1]
                return Violated(what, tuple(named))
        return Satisfied() if judged else Undecided(nothing)

    return each(judge)


def _told(observation: Recording, *kinds: type) -> list[int]:
    """The indexes of what the server said of these kinds."""
    found: list[int] = []
    for kind in kinds:
        found += checks.records(observation, kind, Sender.SERVER)
    return sorted(found)


def _said(observation: Recording, *kinds: type) -> list[int]:
    """The indexes of what the client said of these kinds."""
    found: list[int] = []
    for kind in kinds:
        found += checks.records(observation, kind, Sender.CLIENT)
    return sorted(found)


def _heard(observation: Recording) -> int:
    """The index before which the server surely had heard all that the client said.

    That is where the last commit was sent that has surely led to an item, which was
    acknowledged or ended: one that came of the server's detection of turns, or of the
    audio's end, answers none.
    """
    commits = _said(observation, Commit)
    items = [item for item in _items(observation).values() if not item.stopped]
    answered = max(
        sum(bool(item.committed) for item in items),
        sum(bool(item.ends) for item in items),
    )
    answered -= len(_said(observation, Done))
    return [0, *commits][min(max(answered, 0), len(commits))]


def _answered(
    observation: Recording, asked: list[int], answers: list[int], what: str
) -> Outcome:
    """Whether what was asked for is answered, each by one event."""
    if not asked:
        return Undecided(f"no {what} was sent")
    if len(answers) >= len(asked):
        return Satisfied()
    waited = observation.trace.end.how is Ending.DEADLINE
    until = len(observation.messages) if waited else _heard(observation)
    heard = [index for index in asked if index < until]
    if len(answers) < len(heard):
        seen = f"{len(answers)} of {len(heard)} were answered"
        return Violated(f"{what}: {seen}", tuple(heard))
    return Undecided(f"the session was over before each {what} was answered")


# The session


def identity(profile: Profile) -> Callable[[Message], str | None]:
    """What gives the id of a session that is opened as the profile says."""

    def found(message: Message) -> str | None:
        it = getattr(message, "identity", None)
        if it is None or message.move != profile.greeting:
            return None
        return str(it.id)

    return found


def of_transcription(observation: Recording) -> Outcome:
    """session.created is that of a transcription session."""
    for index in _told(observation, SessionCreated):
        message = observation.messages[index]
        assert isinstance(message, SessionCreated)
        if message.session.type != "transcription":
            return Violated(f"its type is {message.session.type!r}", (index,))
        return Satisfied()
    return Undecided("no session.created came")


def expires_later(observation: Recording) -> Outcome:
    """``expires_at``, where it is told, lies ahead."""
    for index, message in enumerate(observation.messages):
        it = getattr(message, "identity", None)
        if it is None or it.expires_at is None:
            continue
        if it.expires_at <= observation.trace.started.timestamp():
            return Violated(f"expires_at is {it.expires_at:.0f}", (index,))
        return Satisfied()
    return Undecided("it is not told when the session expires")


def updates_answered(observation: Recording) -> Outcome:
    """Each update is answered by the session as it is then, or by an error."""
    asked = _said(observation, SessionUpdate, BetaUpdate)
    answers = _told(observation, SessionUpdated, BetaUpdated, Error)
    return _answered(observation, asked, answers, "update of the session")


def _shown(message: Message) -> dict[str, Any]:
    assert isinstance(
        message, SessionUpdate | BetaUpdate | SessionUpdated | BetaUpdated
    )
    return message.session


def shows_what_was_asked(observation: Recording) -> Outcome:
    """What was asked for is shown, in sessions of which no update was refused."""
    asked = _said(observation, SessionUpdate, BetaUpdate)
    answers = _told(observation, SessionUpdated, BetaUpdated)
    errors = _told(observation, Error)
    judged = False
    for index, answer in zip(asked, answers, strict=False):
        if observation.trace.records[index].raw or (errors and errors[0] < answer):
            break
        judged = True
        wanted, shown = (_shown(observation.messages[i]) for i in (index, answer))
        if missing := next(_missing(wanted, shown, "session"), ""):
            return Violated(missing, (answer,))
    return Satisfied() if judged else Undecided("no update was accepted")


def _missing(wanted: Any, shown: Any, where: str) -> Iterator[str]:
    """What was asked for and is shown otherwise, or not at all."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            inner = shown.get(name) if isinstance(shown, dict) else None
            yield from _missing(value, inner, f"{where}.{name}")
    elif wanted != shown:
        yield f"{where} was set to {wanted!r}, and is shown as {shown!r}"


def keeps_the_rest(role: str) -> Check:
    """An update of one field leaves the others as they were."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := checks.absent(evidence, role):
            return missing
        for part in evidence.role(role):
            it = part.recording
            answers = _told(it, SessionUpdated, BetaUpdated)
            if len(answers) < 2:
                return Undecided("the session was not shown twice")
            before, after = (_shown(it.messages[i]) for i in (answers[0], answers[-1]))
            kept = {k: v for k, v in before.items() if k in _SET_UP}
            if not kept:
                return Undecided("the session shows nothing of what was set up")
            if changed := next(_missing(kept, after, "session"), ""):
                what = changed.replace(" was set to ", " was ")
                return Violated(what, (answers[-1],), evidence.index(part))
        return Satisfied()

    return judge


_SET_UP = ("audio", "turn_detection", "input_audio_format", "input_audio_transcription")


def unconfirmed(evidence: Evidence) -> Outcome:
    """An update that is refused is not answered as if it had been accepted."""
    if missing := checks.absent(evidence, "refused-update"):
        return missing
    for part in evidence.role("refused-update"):
        it = part.recording
        asked = len(_said(it, SessionUpdate, BetaUpdate))
        refused = _told(it, Error)
        accepted = _told(it, SessionUpdated, BetaUpdated)
        if not refused:
            return Undecided("the update was not refused")
        if not accepted:
            return Undecided("no update was accepted")
        if len(refused) + len(accepted) > asked:
            return Violated(
                f"of {asked} updates {len(refused)} were refused and {len(accepted)} "
                "accepted",
                tuple(accepted),
                evidence.index(part),
            )
    return Satisfied()


def unshown(evidence: Evidence) -> Outcome:
    """What is refused is not shown as what holds."""
    judged = False
    for part in evidence.role("refused-update"):
        if not checks.sent_after_hand(part.recording):
            continue
        for index in _told(part.recording, SessionUpdated, BetaUpdated):
            judged = True
            if NO_FORMAT in (part.trace.records[index].text or ""):
                refused = bool(part.timeline.refusals)
                what = "was refused" if refused else "is no format"
                return Violated(
                    f"what {what} is shown as what holds",
                    (index,),
                    evidence.index(part),
                )
    return Satisfied() if judged else Undecided("no update was refused and shown")


# Ids, items and their order


def event_ids(observation: Recording) -> Outcome:
    """Each event of the server has an id, and no other event has the same."""
    seen: dict[str, int] = {}
    for index, message in enumerate(observation.messages):
        if observation.trace.records[index].sender is not Sender.SERVER:
            continue
        name = getattr(message, "event_id", None)
        if name is None:
            continue  # it is no event of the protocol
        if not name:
            return Violated(f"{message.move} has no event_id", (index,))
        if name in seen:
            return Violated(f"two events have the id {name!r}", (seen[name], index))
        seen[name] = index
    return Satisfied() if seen else Undecided("no event came")


def chained(observation: Recording) -> Outcome:
    """Each item names the one that was committed before it, the first one none."""
    before: str | None = None
    judged = False
    for index in _told(observation, Committed):
        message = observation.messages[index]
        assert isinstance(message, Committed)
        judged = True
        if (message.previous_item_id or None) != before:
            return Violated(
                f"{message.item_id} follows {message.previous_item_id!r}, and "
                f"{before!r} was committed before it",
                (index,),
            )
        before = message.item_id
    return Satisfied() if judged else Undecided("nothing was committed")


def commits_answered(observation: Recording) -> Outcome:
    """Each commit of ours is answered by an item, or by an error."""
    asked = _said(observation, Commit)
    answers = _told(observation, Committed, Error)
    return _answered(observation, asked, answers, "commit")


def clears_answered(observation: Recording) -> Outcome:
    """Each clear is answered by input_audio_buffer.cleared."""
    asked = _said(observation, Clear)
    return _answered(observation, asked, _told(observation, Cleared), "clear")


def committed_first(observation: Recording, name: str, item: _Item) -> str | None:
    """An item that ends was committed before."""
    if not item.ends:
        return None
    if not item.committed:
        return f"the item {name!r} ended, and was never committed"
    if item.committed[0] > item.ends[0]:
        return f"the item {name!r} ended before it was committed"
    return ""


def committed_once(observation: Recording, name: str, item: _Item) -> str | None:
    """An item has an id, which no other has."""
    if not item.committed:
        return None
    if not name:
        return "an item has no id"
    return f"{name!r} was committed twice" if len(item.committed) > 1 else ""


def ends(observation: Recording, name: str, item: _Item) -> str | None:
    """An item that is committed is completed, or fails."""
    if not item.committed:
        return None
    if not item.set_up:
        return None  # by default nothing may be transcribed
    if item.ends:
        return ""
    if checks.cut(observation) or _by_hand(observation):
        return None
    why = checks.ended(observation)
    return f"the item {name!r} was neither completed nor failed: {why}"


def _by_hand(observation: Recording) -> bool:
    return any(record.raw for record in observation.trace.records)


def ends_once(observation: Recording, name: str, item: _Item) -> str | None:
    """An item ends once."""
    if not item.ends:
        return None
    moves = [observation.messages[i].move.rpartition(".")[2] for i in item.ends]
    return f"the item {name!r} was {' and '.join(moves)}" if len(moves) > 1 else ""


def nothing_after(observation: Recording, name: str, item: _Item) -> str | None:
    """No text of an item comes after its end."""
    if not item.ends:
        return None
    late = [index for index in item.deltas if index > item.ends[0]]
    return f"text of the item {name!r} came after its end" if late else ""


def one_content(observation: Recording, name: str, item: _Item) -> str | None:
    """All that is said of an item is about the same part of it."""
    told = (observation.messages[i] for i in (*item.deltas, *item.parts, *item.ends))
    found = {getattr(message, "content_index", None) for message in told} - {None}
    if not found:
        return None
    told_apart = " and ".join(sorted(map(str, found)))
    return f"content_index of {name!r} is {told_apart}" if len(found) > 1 else ""


def _pieces(observation: Recording, item: _Item) -> tuple[list[str], str] | None:
    """The deltas of an item that are not empty, and its transcript.

    ``None`` where it has none: all of its text may come with its completion. So it is
    where it is completed part by part.
    """
    if item.parts:
        return None
    pieces = []
    for index in item.deltas:
        message = observation.messages[index]
        assert isinstance(message, Delta)
        if message.delta:
            pieces.append(message.delta)
    for index in item.ends:
        message = observation.messages[index]
        if pieces and isinstance(message, Completed):
            return pieces, message.transcript
    return None


def _plain(text: str) -> str:
    """The text with no more than a space between its words: some servers tidy it up."""
    return " ".join(text.split())


def adds_up(observation: Recording, name: str, item: _Item) -> str | None:
    """The deltas of an item, joined, are its transcript."""
    found = _pieces(observation, item)
    if found is None:
        return None
    text, said = "".join(found[0]), found[1]
    if _plain(text) == _plain(said):
        return ""
    return f"the deltas add up to {text!r}, but completed says {said!r}"


def increments(observation: Recording, name: str, item: _Item) -> str | None:
    """A delta is what is new, and not the whole text so far."""
    found = _pieces(observation, item)
    if found is None or len(found[0]) < 2:
        return None
    pieces, said = found
    grows = all(b.startswith(a) for a, b in pairwise(pieces))
    if grows and _plain(pieces[-1]) == _plain(said) != _plain("".join(pieces)):
        return f"the deltas repeat the text so far: {pieces[0]!r}, {pieces[1]!r}, ..."
    return ""


def consistent(observation: Recording, name: str, item: _Item) -> str | None:
    """What is added to the conversation is what was committed, in the same place."""
    if not item.announced:
        return None
    if not item.committed:
        return None if checks.cut(observation) else f"{name!r} was never committed"
    committed = observation.messages[item.committed[0]]
    assert isinstance(committed, Committed)
    for index in item.announced:
        message = observation.messages[index]
        assert isinstance(message, ItemAdded | ItemDone | ItemCreated)
        if (message.previous_item_id or None) != (committed.previous_item_id or None):
            return (
                f"{name!r} follows {message.previous_item_id!r} in {message.move}, and "
                f"{committed.previous_item_id!r} in its commit"
            )
    return ""


def announced(observation: Recording, name: str, item: _Item) -> str | None:
    """What is committed is added to the conversation."""
    if not item.committed or not item.ends:
        return None
    return "" if item.announced else f"{name!r} was not added to the conversation"


# What is counted, and what is told beside the text


def usage(observation: Recording) -> Outcome:
    """The usage of each completion is there, not negative, and adds up."""
    ends = _told(observation, Completed)
    for index in ends:
        message = observation.messages[index]
        assert isinstance(message, Completed)
        it = message.usage
        if it is None:
            return Violated("completed carries no usage", (index,))
        if it.type == "duration":
            if it.seconds is None or it.seconds < 0:
                return Violated(f"it counts {it.seconds} seconds", (index,))
            continue
        heard, said, total = it.input_tokens, it.output_tokens, it.total_tokens
        if heard is None or said is None or min(heard, said) < 0:
            return Violated(f"it counts {heard} and {said} tokens", (index,))
        if heard + said != total:
            counts = f"{heard} + {said} is not {total}"
            return Violated(f"usage does not add up: {counts}", (index,))
    return Satisfied() if ends else Undecided("no item was completed")


def counts(observation: Recording) -> Outcome:
    """A text counts tokens of it and of its audio, or the seconds of its audio."""
    judged = False
    for index in _told(observation, Completed):
        message = observation.messages[index]
        assert isinstance(message, Completed)
        it = message.usage
        if it is None or not message.transcript.strip():
            continue
        judged = True
        tokens = it.input_tokens and it.output_tokens
        if not (it.seconds if it.type == "duration" else tokens):
            return Violated(f"{message.transcript!r} counts {it}", (index,))
    return Satisfied() if judged else Undecided("no text with a usage came")


def logprobs_came(evidence: Evidence) -> Outcome:
    """Each text carries log probabilities where they are included."""
    if missing := checks.absent(evidence, "logprobs"):
        return missing
    judged = False
    for part in evidence.role("logprobs"):
        it = part.recording
        for name, item in _items(it).items():
            told = [it.messages[i] for i in (*item.deltas, *item.ends)]
            if not any(getattr(m, "transcript", "") for m in told):
                continue
            judged = True
            if not any(getattr(m, "logprobs", None) for m in told):
                return Violated(
                    f"the item {name!r} has none",
                    tuple(item.ends),
                    evidence.index(part),
                )
    return Satisfied() if judged else Undecided("no text came")


def logprobs_sane(observation: Recording) -> Outcome:
    """A log probability is not above 0, and the tokens of a delta are its text."""
    judged = False
    for index in _told(observation, Delta):
        message = observation.messages[index]
        assert isinstance(message, Delta)
        if not message.logprobs:
            continue
        judged = True
        if high := [it.logprob for it in message.logprobs if it.logprob > 0]:
            return Violated(f"a log probability is {high[0]:g}", (index,))
        tokens = "".join(it.token for it in message.logprobs)
        if _plain(tokens) != _plain(message.delta or ""):
            return Violated(
                f"the tokens are {tokens!r}, and the delta is {message.delta!r}",
                (index,),
            )
    return Satisfied() if judged else Undecided("no log probability came")


# What is refused


def typed_errors(observation: Recording) -> Outcome:
    """Each error has a type and a message."""
    errors = _told(observation, Error)
    for index in errors:
        message = observation.messages[index]
        assert isinstance(message, Error)
        for name in ("type", "message"):
            if not getattr(message.error, name):
                return Violated(f"an error without a {name}", (index,))
    return Satisfied() if errors else Undecided("no error came")


def _problems(evidence: Evidence, *roles: str) -> Iterator[tuple[Part, int, Error]]:
    """The errors of these sessions after the first frame by hand."""
    for part in evidence.role(*roles):
        records = part.trace.records
        left = next((i for i, record in enumerate(records) if record.raw), len(records))
        for index in _told(part.recording, Error):
            message = part.recording.messages[index]
            assert isinstance(message, Error)
            if index > left:
                yield part, index, message


def name_their_cause(*roles: str) -> Check:
    """An error of an event that has an id of ours names it."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := checks.absent(evidence, *roles):
            return missing
        judged = False
        names = {
            id(part): {_id(r.text) for r in part.trace.records if r.raw}
            for part in evidence.role(*roles)
        }
        for part, index, message in _problems(evidence, *roles):
            judged = True
            ours = names[id(part)]
            if message.error.event_id not in ours:
                return Violated(
                    f"the error names {message.error.event_id!r}, and not "
                    f"{', '.join(sorted(ours))}",
                    (index,),
                    evidence.index(part),
                )
        return Satisfied() if judged else Undecided("no error came")

    return judge


def _id(frame: str | None) -> str:
    name = msgspec.json.decode(frame or "{}").get("event_id")
    return str(name)


def name_the_field(role: str, name: str) -> Check:
    """The error of an unknown field says which it is."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := checks.absent(evidence, role):
            return missing
        judged = False
        for part, index, message in _problems(evidence, role):
            judged = True
            if name not in (message.error.param or ""):
                return Violated(
                    f"its param is {message.error.param!r}",
                    (index,),
                    evidence.index(part),
                )
        return Satisfied() if judged else Undecided("no error came")

    return judge


def commit_refused(role: str, what: str, *codes: str) -> Check:
    """A commit by hand is refused, with one of these codes where they are given."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := checks.absent(evidence, role):
            return missing
        for part in evidence.role(role):
            it = part.recording
            commits = [i for i in _said(it, Commit) if part.trace.records[i].raw]
            if not commits:
                return Undecided(f"{what} was not sent: {checks.why(part)}")
            errors = [e for _, i, e in _problems(Evidence((part,)), role)]
            if not errors:
                seen = f"{what} was not refused"
                return Violated(seen, tuple(commits), evidence.index(part))
            code = errors[0].error.code
            if codes and code not in codes:
                known = printable(code) if code else "no code"
                seen = f"{what} was refused by {known}, not by {codes[0]}"
                return Violated(seen, tuple(commits), evidence.index(part))
        return checks.finishes(role)(evidence)

    return judge


def no_error(role: str, what: str) -> Check:
    """What is sent by hand is answered by no error, nor by the end of the session.

    What is taken may be answered by nothing. So the server must have answered the
    set-up: one that says nothing at all has taken nothing.
    """

    def judge(evidence: Evidence) -> Outcome:
        if missing := checks.absent(evidence, role):
            return missing
        for part in evidence.role(role):
            if not _by_hand(part.recording):
                return Undecided(f"{what} was not sent: {checks.why(part)}")
            for _, index, message in _problems(Evidence((part,)), role):
                said = message.error.message
                return Violated(
                    f"{what} was refused: {said}", (index,), evidence.index(part)
                )
            if not checks.cut(part.recording):
                seen = f"{what}: {checks.why(part)}"
                return Violated(seen, (), evidence.index(part))
            if not _told(part.recording, SessionUpdated, BetaUpdated):
                return Undecided(f"the session of {what} was never set up")
        return Satisfied()

    return judge


def stays_open(role: str) -> Check:
    """The server does not end a session because of what is sent by hand."""

    def judge(evidence: Evidence) -> Outcome:
        if missing := checks.absent(evidence, role):
            return missing
        for part in evidence.role(role):
            if not _by_hand(part.recording):
                return Undecided(f"nothing was sent by hand: {checks.why(part)}")
            if not checks.cut(part.recording):
                return Violated(checks.why(part), (), evidence.index(part))
        return Satisfied()

    return judge


# Turns, which the server detects


def in_order(observation: Recording) -> Outcome:
    """Each turn is started, stopped and committed under one id."""
    judged = False
    for name, item in _items(observation).items():
        if not item.committed:
            if item.stopped and not checks.cut(observation):
                return Violated(f"{name!r} was never committed", tuple(item.stopped))
            continue
        judged = True
        for indexes, what in ((item.started, "started"), (item.stopped, "stopped")):
            if not indexes:
                return Violated(
                    f"{name!r} was committed, and its speech never {what}",
                    tuple(item.committed),
                )
        if not item.started[0] < item.stopped[0] < item.committed[0]:
            return Violated(f"{name!r} came out of order", tuple(item.committed))
    return Satisfied() if judged else Undecided("no turn was detected")


def of(role: str, judge: SessionCheck) -> Check:
    """The judge of one session, put to those of a role."""

    def trial(evidence: Evidence) -> Outcome:
        if missing := checks.absent(evidence, role):
            return missing
        for part in evidence.role(role):
            outcome = judge(part.recording)
            if isinstance(outcome, Violated):
                return Violated(outcome.message, outcome.records, evidence.index(part))
            if isinstance(outcome, Undecided):
                return outcome
        return Satisfied()

    return trial


@dataclass(frozen=True, slots=True)
class _Sent:
    """The audio that had been sent by each record, in ms, and where clips lie in it."""

    until: tuple[float, ...]
    clips: tuple[tuple[float, float], ...]


def _sent(observation: Recording) -> _Sent:
    until: list[float] = []
    clips: list[tuple[float, float]] = []
    position = 0.0
    for record in observation.trace.records:
        span = record.span
        if span is not None:
            start, position = (
                position,
                position + _ms(observation, span.stop - span.start),
            )
            if span.asset != TAIL:
                if span.start == 0:
                    clips.append((start, position))
                else:
                    clips[-1] = (clips[-1][0], position)
        until.append(position)
    return _Sent(tuple(until), tuple(clips))


def _ms(observation: Recording, samples: int) -> float:
    return samples * 1000 / observation.trace.rate


def timely(observation: Recording) -> Outcome:
    """Turns lie in the audio that was sent, one after the other, one in each clip."""
    sent = _sent(observation)
    turns: list[tuple[float, float]] = []
    for name, item in _items(observation).items():
        if not item.started or not item.stopped:
            continue
        begun, over = (
            observation.messages[i] for i in (item.started[0], item.stopped[0])
        )
        assert isinstance(begun, SpeechStarted)
        assert isinstance(over, SpeechStopped)
        start, end = begun.audio_start_ms, over.audio_end_ms
        shown = (item.started[0], item.stopped[0])
        if not 0 <= start < end:
            return Violated(f"{name!r} is from {start} to {end} ms", shown)
        for at, index in ((start, item.started[0]), (end, item.stopped[0])):
            if at > sent.until[index] + _BEYOND:
                return Violated(
                    f"{name!r} has {at} ms, and {sent.until[index]:.0f} ms were sent",
                    (index,),
                )
        if turns and not (turns[-1][0] < start and turns[-1][1] < end):
            before = f"{turns[-1][0]:g} to {turns[-1][1]:g} ms"
            return Violated(
                f"{name!r} is from {start} to {end} ms, after a turn from {before}",
                shown,
            )
        turns.append((start, end))
    if not turns:
        return Undecided("no turn was detected")
    ends = [end for _, end in turns]
    for first, last in sent.clips[: len(turns)]:
        # Turns rise, so that it is the first that ends late enough, or none.
        place = bisect_right(ends, first + _HOLDS)
        if place == len(turns) or turns[place][0] + _HOLDS >= last:
            told = ", ".join(f"{a:g} to {b:g}" for a, b in turns)
            clip = f"{first:.0f} to {last:.0f} ms"
            return Violated(f"no turn lies in the clip from {clip}: {told}", ())
    return Satisfied()


def hushed(observation: Recording) -> Outcome:
    """No turn is detected before anything but silence was sent."""
    spans = [(i, r.span) for i, r in enumerate(observation.trace.records) if r.span]
    assets = list(dict.fromkeys(span.asset for _, span in spans))
    if len(assets) < 2:
        return Undecided("silence and speech were not sent")
    spoken = next(i for i, span in spans if span.asset == assets[1])
    told = _told(observation, SpeechStarted, Committed, Completed)
    for index in told:
        if index < spoken:
            move = observation.messages[index].move
            return Violated(f"{move} came while silence was sent", (index,))
    return Satisfied() if told else Undecided("no turn was detected in speech either")


def wordless_commit(observation: Recording) -> Outcome:
    """A commit of the silence after a turn has no words: an error, or an empty item."""
    commits = [
        i for i in _said(observation, Commit) if observation.trace.records[i].raw
    ]
    if not commits:
        return Undecided("no commit was sent")
    records = observation.trace.records
    later = [i for i, r in enumerate(records) if r.span and i > commits[0]]
    until = later[0] if later else len(records)
    judged = any(index > commits[0] for index in _told(observation, Error))
    for name, item in _items(observation).items():
        if item.started or not any(commits[0] < i < until for i in item.committed):
            continue
        for index in item.ends:
            judged = True
            text = getattr(observation.messages[index], "transcript", "")
            if text.strip():
                return Violated(f"{name!r} has the text {text!r}", (index,))
    return Satisfied() if judged else Undecided("the commit was not answered")
