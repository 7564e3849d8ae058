"""The meaning of a session of OpenAI's protocol.

An utterance is what our side hands over between two commits. Where the server detects
turns there is none: an utterance is then the audio up to the silence that we send after
it, and may have been cut into several turns, whose texts are joined; in the records of
a server, which do not tell such silence from other audio, each turn is one.

The server names its items as it likes. One that it commits answers our oldest commit
that was not answered; one that is named before stands for the first utterance that has
no item yet. So utterances are told apart in whatever order items are completed.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import TypeVar

import msgspec

from pytest_realtime_asr.dialects.openai import session_setup
from pytest_realtime_asr.dialects.openai.events import (
    Append,
    BetaCreated,
    BetaUpdate,
    BetaUpdated,
    Clear,
    Cleared,
    Commit,
    Committed,
    Completed,
    ConversationCreated,
    Counted,
    Delta,
    Done,
    Error,
    Failed,
    Problem,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
)
from pytest_realtime_asr.dialects.openai.session_setup import Setup
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import TAIL, Record, Sender
from pytest_realtime_asr.trace.timeline import Commit as Committing
from pytest_realtime_asr.trace.timeline import (
    Endpoint,
    Event,
    Final,
    Heard,
    Partial,
    Refusal,
    Usage,
    common,
)

_N = TypeVar("_N", int, float)


@dataclass(slots=True, eq=False)
class _Turn:
    """An item of the server, and the number of the utterance that it is of."""

    number: int
    pieces: list[str] = field(default_factory=list)  # of its text
    start: int = 0  # where it begins in what is shown of the utterance
    usage: Usage | None = None
    committed: str = ""  # the name by which it was
    ended: bool = False  # the server took its speech for over by itself
    over: bool = False  # nothing more comes of it
    failed: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class _Utterance:
    """What was said of an utterance so far.

    ``shown`` is its text: of several turns without the blanks around each. It is kept
    up to date from the first turn on that has changed, so that a session costs what was
    received.
    """

    turns: list[_Turn] = field(default_factory=list)
    shown: StringIO = field(default_factory=StringIO)
    length: int = 0  # of what is shown
    right: int = 0  # characters of it that are as they should be
    known: int = 0  # turns that are shown as they are
    alone: bool = True  # whether there was a single turn when it was shown
    blanks: list[str] = field(default_factory=list)  # after it, not shown yet
    end: int = 0  # up to where the server has looked for turns, in ms of the session
    at: int = 0  # when the latest of its turns was over
    told: bool = False  # its final was
    _over: int = 0  # turns from the first on that are over
    _failed: int = 0  # and that failed

    @property
    def over(self) -> bool:
        """Whether it has a text, and nothing more comes of its turns."""
        for turn in self.turns[self._over :]:
            if not turn.over:
                return False
            self._over += 1
            self._failed += turn.failed
        return self._failed < len(self.turns)

    def fail(self, turn: _Turn) -> None:
        """Nothing comes of a turn."""
        if turn.over:  # it may have been counted
            self._over = self._failed = 0
        turn.over = turn.failed = True

    def drop(self, turn: _Turn) -> None:
        """A turn is not of this utterance."""
        place = self.turns.index(turn)
        del self.turns[place]
        if place < self.known:  # the one before it is shown again, for its blanks
            self.known = max(0, place - 1)
            self.right = self.turns[self.known].start if place else 0
        self._over = self._failed = 0

    @property
    def text(self) -> str:
        if len(self.turns) == 1:
            return self.turns[0].text
        return " ".join(filter(None, (turn.text.strip() for turn in self.turns)))

    def add(self, turn: _Turn, added: str) -> tuple[int, str] | None:
        """Add text to a turn.

        Gives what is kept of the text that was shown, and what is new; ``None`` where
        it is the same.
        """
        turn.pieces.append(added)
        known = self.known == len(self.turns) and self.right == self.length
        if not known or turn is not self.turns[-1] or self.alone != self._single:
            return self.show(self._place(turn))
        if self.alone:
            return self._put(self.length, added)
        words = added.rstrip()
        if not words:
            self.blanks.append(added)
            return None
        if turn.start == self.length:  # its first words
            return self.show(self.known - 1)
        new = "".join((*self.blanks, words))
        self.blanks = [added[len(words) :]]
        return self._put(self.length, new)

    def say(self, turn: _Turn, text: str) -> tuple[int, str] | None:
        """Give a turn its text; as `add`."""
        if turn.text == text:
            return self.show(self.known)
        turn.pieces = [text]
        return self.show(self._place(turn))

    def show(self, place: int) -> tuple[int, str] | None:
        """Show what has changed, from the turn at this place on; as `add`."""
        place = min(self.known, place)
        if self.alone != self._single:
            place, self.alone = 0, self._single
        begin = self.turns[place].start if place < self.known else self.right
        at, parts, text = begin, [], ""
        for turn in self.turns[place:]:
            turn.start = at
            text = turn.text
            part = text if self.alone else text.strip()
            if part:
                parts.append(f" {part}" if at else part)
                at += len(parts[-1])
        if self.turns[place:]:
            self.blanks = [text[len(text.rstrip()) :]]
        self.known = len(self.turns)
        self.shown.seek(begin)
        new, old = "".join(parts), self.shown.read()
        same = common(old, new)
        return self._put(begin + same, new[same:])

    @property
    def _single(self) -> bool:
        return len(self.turns) == 1

    def _place(self, turn: _Turn) -> int:
        last = turn is self.turns[-1]
        return len(self.turns) - 1 if last else self.turns.index(turn)

    def _put(self, kept: int, added: str) -> tuple[int, str] | None:
        same = kept == self.length and not added
        self.shown.seek(kept)
        self.shown.truncate()
        self.shown.write(added)
        self.length = self.right = kept + len(added)
        return None if same else (kept, added)

    @property
    def usage(self) -> Usage | None:
        """What was counted for its turns together, where it was for each."""
        usages = [turn.usage for turn in self.turns if not turn.failed]
        known = [usage for usage in usages if usage is not None]
        if len(known) < len(usages):
            return None
        return Usage(
            _sum(usage.prompt for usage in known),
            _sum(usage.completion for usage in known),
            _sum(usage.total for usage in known),
            _sum(usage.seconds for usage in known),
        )


class Reader:
    """``rate`` is the one in Hz that PCM has where no set-up names another."""

    def __init__(self, rate: int) -> None:
        self.ready: int | None = None
        self.session = ""
        self._rate = rate
        self._names: set[str | None] = set()  # by which our side calls its events
        self._setup = Setup()  # with all that was asked for
        self._held = Setup()  # as the server says that it is
        self._asked: list[tuple[str | None, Mapping[str, object]]] = []  # updates
        self._ours = False  # whether the audio was recorded by who sent it
        self._number = 0  # of the utterance that our audio belongs to
        self._audio = False  # whether the server may have any for it
        self._samples = 0  # since it began, or was begun anew
        self._tail = 0  # samples of silence since its audio
        self._handed = 0.0  # ms of all audio of the session but for that silence
        self._waiting: deque[tuple[int, str | None]] = deque()  # commits of ours
        self._refused: set[int] = set()  # utterances whose commit was
        self._free = 0  # all utterances before this one have items, or were refused
        self._turns: dict[str, _Turn] = {}
        self._utterances: dict[int, _Utterance] = defaultdict(_Utterance)

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        if record.sender is Sender.CLIENT:
            return tuple(self._said(record, message))
        return tuple(self._told(record.at, message))

    # What our side says

    def _said(self, record: Record, message: Message) -> Iterator[Event]:
        self._names.add(getattr(message, "event_id", None))
        match message:
            case Append():
                yield from self._heard(record, message)
            case SessionUpdate(session=asked) | BetaUpdate(session=asked):
                self._asked.append((message.event_id, asked))
                self._setup = self._setup.changed(asked)
            case Commit(event_id=name):
                yield from self._committing(record, name)
            case Done(event_id=name) if self._samples:
                yield from self._committing(record, name)
            case Clear():
                self._samples = 0

    def _heard(self, record: Record, message: Append) -> Iterator[Event]:
        self._ours = record.due is not None
        if record.span is None:
            samples = self._count(message.audio)
        else:
            samples = record.span.stop - record.span.start
            if record.span.asset == TAIL:
                self._tail += samples
                yield from self._final(self._number)
                return
        if self._tail:
            yield from self._begin_next()
        self._handed += self._ms(samples)
        self._audio = True
        self._samples += samples
        due, woke = record.times
        yield Heard(self._number, self._samples, due, woke, record.at, 2 * samples)

    def _count(self, audio: str) -> int:
        """The samples of audio in base64, at the rate of the trace.

        That is the rate of the audio in a trace of ours, else that of the dialect.
        """
        size = len(audio) * 3 // 4 - audio[-2:].count("=")
        samples = size if self._setup.law is not None else size // 2
        if self._ours:
            return samples
        return samples * self._rate // self._setup.rate(self._rate)

    def _ms(self, samples: int) -> float:
        return samples * 1000 / self._setup.rate(self._rate)

    def _committing(self, record: Record, name: str | None) -> Iterator[Event]:
        self._waiting.append((self._number, name))
        due, woke = record.times
        yield Committing(self._number, due, woke, record.at)
        yield from self._begin_next()

    def _begin_next(self) -> Iterator[Event]:
        before, self._number = self._number, self._number + 1
        self._handed += self._ms(self._tail)
        self._samples = self._tail = 0
        self._audio = False
        yield from self._final(before)

    # What the server says

    def _told(self, at: int, message: Message) -> Iterator[Event]:
        match message:
            case SessionCreated() | BetaCreated() | ConversationCreated():
                if self.ready is None:
                    self.ready, self.session = at, message.identity.id
                    self._holds(msgspec.structs.asdict(message.identity))
            case SessionUpdated(session=held) | BetaUpdated(session=held):
                if self._asked:
                    self._holds(self._asked.pop(0)[1])
                self._holds(held)
            case Committed(item_id=name):
                yield from self._committed(at, name)
            case Cleared():
                yield from self._forget()
            case SpeechStarted(item_id=name):
                self._turn(name)
            case SpeechStopped(item_id=name, audio_end_ms=end):
                turn = self._turn(name)
                utterance = self._utterances[turn.number]
                utterance.end = max(utterance.end, end)
                yield from self._endpoint(at, turn)
            case Delta(item_id=name, delta=str(added)) if added:
                turn = self._speaking(name)
                if not turn.over:
                    utterance = self._utterances[turn.number]
                    yield from self._shown(at, turn.number, utterance.add(turn, added))
            case Completed():
                yield from self._completed(at, message)
            case Failed(item_id=name, error=problem):
                turn = self._ending(name)
                utterance = self._utterances[turn.number]
                utterance.fail(turn)
                utterance.at = at
                yield _refusal(at, problem, turn.number)
                yield from self._final(turn.number)  # that of its other turns
            case Error(error=problem):
                yield _refusal(at, problem, self._blamed(problem))

    def _holds(self, content: Mapping[str, object]) -> None:
        """The server holds the session so; what it has not answered is still asked."""
        self._held = self._held.changed(content)
        self._ask()

    def _ask(self) -> None:
        self._setup = self._held
        for _, content in self._asked:
            self._setup = self._setup.changed(content)

    def _committed(self, at: int, name: str) -> Iterator[Event]:
        turn = self._turns.get(name)
        if turn is not None and turn.committed == name:
            return
        if turn is not None and turn.committed:  # its name was taken for another one's
            del self._turns[name]
            turn = None
        if self._waiting and (turn is None or not turn.ended):
            number, _ = self._waiting.popleft()
            if turn is None:
                turn = self._turns[name] = self._begin(number)
            elif turn.number != number:  # its first commit was refused, the audio kept
                self._drop(turn)
                turn.number = number
                utterance = self._utterances[number]
                utterance.turns.append(turn)
                yield from self._shown(at, number, utterance.show(utterance.known))
            turn.committed = name
            return
        turn = self._turn(name)
        turn.committed = name
        if self._setup.detection is not None:
            yield from self._endpoint(at, turn)
            if not self._grouped:
                yield from self._begin_next()

    def _endpoint(self, at: int, turn: _Turn) -> Iterator[Event]:
        if not turn.ended:
            turn.ended = True
            yield Endpoint(turn.number, at)

    def _forget(self) -> Iterator[Event]:
        """The audio that was not committed is gone, and what was begun of it."""
        for name, turn in list(self._turns.items()):
            if not turn.committed and not turn.over:
                del self._turns[name]
                self._drop(turn)
                yield from self._final(turn.number)

    def _completed(self, at: int, message: Completed) -> Iterator[Event]:
        turn = self._ending(message.item_id)
        if turn.over:
            return
        utterance = self._utterances[turn.number]
        turn.usage, turn.over = _usage(message.usage), True
        if not message.is_last_result:
            more = self._turns[message.item_id] = self._begin(turn.number)
            more.committed = turn.committed
        utterance.at = at
        changed = utterance.say(turn, message.transcript)
        yield from self._final(turn.number)
        yield from self._shown(at, turn.number, changed)

    def _blamed(self, problem: Problem) -> int | None:
        """The utterance whose commit an error refuses, if it does.

        An error that does not name an event of ours is known by what it says.
        """
        name = problem.event_id
        named = name is not None and name in self._names
        for place, (number, commit) in enumerate(self._waiting):
            if commit == name if named else _of_commit(problem):
                del self._waiting[place]
                self._refused.add(number)
                self._audio = True  # what was too little is still there
                return number
        for place, (update, _) in enumerate(self._asked):
            if update == name if named else _of_update(problem):
                del self._asked[place]
                self._ask()
                break
        return None

    # The names of its items

    def _turn(self, name: str) -> _Turn:
        """The turn of this name; a new one is of the next utterance without an item."""
        if name not in self._turns:
            self._turns[name] = self._begin(self._next)
        return self._turns[name]

    def _speaking(self, name: str) -> _Turn:
        """The turn that speaks; a new name may be another one for what is owed."""
        if name not in self._turns:
            unnamed = self._grouped or self._next < self._number or self._audio
            if not unnamed and (owed := self._owed):
                self._turns[name] = owed
        return self._turn(name)

    def _ending(self, name: str) -> _Turn:
        """The turn that ends; a name that was not committed is another one's."""
        turn = self._turns.get(name)
        strange = turn is None or not (turn.committed or turn.over)
        if strange and (owed := self._owed):
            if turn is not None:
                self._drop(turn)
            self._turns[name] = owed
        return self._turn(name)

    @property
    def _next(self) -> int:
        """The utterance that a new name stands for; none that is yet to come."""
        if self._grouped:
            return self._waiting[0][0] if self._waiting else self._number
        while self._free in self._refused or self._utterances[self._free].turns:
            self._free += 1
        return min(self._free, self._number)

    @property
    def _owed(self) -> _Turn | None:
        """The oldest turn that is committed and has no end."""
        owed = (each for each in self._turns.values() if each.committed)
        return next((each for each in owed if not each.over), None)

    @property
    def _grouped(self) -> bool:
        """Whether an utterance may be cut into several turns."""
        return self._setup.detection is not None and self._ours

    def _begin(self, number: int) -> _Turn:
        turn = _Turn(number)
        self._utterances[number].turns.append(turn)
        return turn

    def _drop(self, turn: _Turn) -> None:
        self._utterances[turn.number].drop(turn)
        self._free = min(self._free, turn.number)

    # What comes of it

    def _shown(
        self, at: int, number: int, changed: tuple[int, str] | None
    ) -> Iterator[Event]:
        if changed is not None and not self._utterances[number].told:
            kept, added = changed
            yield Partial(number, at, kept, added)

    def _final(self, number: int) -> Iterator[Event]:
        """The final, once nothing more can come of an utterance."""
        utterance = self._utterances[number]
        if utterance.told or not utterance.over:
            return
        if self._grouped and number == self._number and self._may_go_on(utterance):
            return
        utterance.told = True
        yield Final(number, utterance.at, utterance.text, utterance.usage)

    def _may_go_on(self, utterance: _Utterance) -> bool:
        """Whether there may be another turn in the audio of the open utterance.

        There is none where one ends behind the audio, or the server had time enough.
        """
        detection = self._setup.detection
        heard_all = utterance.end + 1 > self._handed  # it is told in whole ms
        limit = session_setup.silence if heard_all else session_setup.longest
        return self._ms(self._tail) + 1 < 1000 * limit(detection)


def _of_commit(problem: Problem) -> bool:
    said = f"{problem.code} {problem.message}".lower()
    return "commit" in said or problem.code == "invalid_state"


def _of_update(problem: Problem) -> bool:
    return (problem.param or "").startswith("session")


def _refusal(at: int, problem: Problem, item: int | None) -> Refusal:
    return Refusal(at, problem.code or "", problem.message or "", item)


def _usage(counted: Counted | None) -> Usage | None:
    if counted is None:
        return None
    return Usage(
        counted.input_tokens,
        counted.output_tokens,
        counted.total_tokens,
        counted.seconds,
    )


def _sum(numbers: Iterable[_N | None]) -> _N | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
