"""Reads the timeline of a session of OpenAI's protocol.

An utterance is the audio between two commits of the client. If the server detects
turns, the client sends silence after each utterance instead of a commit. An utterance
is then the audio up to this silence. The server may divide an utterance into several
turns, whose texts are joined. A trace that a server recorded does not mark this
silence, so each turn is an utterance in such a trace.

The server chooses the item ids. A committed item belongs to the oldest unanswered
commit of the client. An item that is named before its commit belongs to the
first utterance that has no item yet. So the utterance of an item is known even if the
items are not completed in the order of the commits.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence

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
from pytest_realtime_asr.dialects.openai.utterances import Turn, Utterance
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
)


class Reader:
    """A reader that turns the records of one session into events of a timeline.

    ``rate`` is the sample rate of PCM in Hz, unless an update sets another rate.
    """

    def __init__(self, rate: int) -> None:
        self.ready: int | None = None
        self.session = ""
        self._rate = rate
        self._frames = 0  # of the client
        # The client's frames by their event ids; of two with one id, the last.
        self._names: dict[str | None, int] = {}
        self._setup = Setup()  # including updates without an answer
        self._confirmed = Setup()  # as the server has last shown it
        # The updates without an answer: event id and session.
        self._updates: list[tuple[str | None, Mapping[str, object]]] = []
        self._recorded_by_client = False
        self._number = 0  # of the current utterance
        self._audio = False  # whether the server may have audio of this utterance
        self._samples = 0  # of this utterance, since the last clear
        self._tail = 0  # samples of silence after this utterance
        self._sent = 0.0  # ms of all audio of the session before this silence
        # The commits without an answer: utterance and event id.
        self._waiting: deque[tuple[int, str | None]] = deque()
        self._refused: set[int] = set()  # utterances whose commit was refused
        self._free = 0  # each earlier utterance has an item or was refused
        self._turns: dict[str, Turn] = {}
        self._utterances: dict[int, Utterance] = defaultdict(Utterance)

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        if record.sender is Sender.CLIENT:
            return tuple(self._from_client(record, message))
        return tuple(self._from_server(record.at, message))

    # Records of the client

    def _from_client(self, record: Record, message: Message) -> Iterator[Event]:
        if (name := getattr(message, "event_id", None)) is not None:
            self._names[name] = self._frames
        self._frames += 1
        match message:
            case Append():
                yield from self._appended(record, message)
            case SessionUpdate(session=asked) | BetaUpdate(session=asked):
                self._updates.append((message.event_id, asked))
                self._setup = self._setup.changed(asked)
            case Commit(event_id=name):
                yield from self._committing(record, name)
            case Done(event_id=name) if self._samples:
                yield from self._committing(record, name)
            case Clear():
                self._samples = 0

    def _appended(self, record: Record, message: Append) -> Iterator[Event]:
        self._recorded_by_client = record.due is not None
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
        self._sent += self._ms(samples)
        self._audio = True
        self._samples += samples
        due, woke = record.times
        yield Heard(self._number, self._samples, due, woke, record.at, 2 * samples)

    def _count(self, audio: str) -> int:
        """Return the number of samples in base64 audio.

        In a trace that the client recorded, this is the number of sent samples. In any
        other trace, this number is converted to the ``rate`` of the reader.
        """
        size = len(audio) * 3 // 4 - audio[-2:].count("=")
        samples = size if self._setup.law is not None else size // 2
        if self._recorded_by_client:
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
        self._sent += self._ms(self._tail)
        self._samples = self._tail = 0
        self._audio = False
        yield from self._final(before)

    # Records of the server

    def _from_server(self, at: int, message: Message) -> Iterator[Event]:
        match message:
            case SessionCreated() | BetaCreated() | ConversationCreated():
                if self.ready is None:
                    self.ready, self.session = at, message.identity.id
                    self._confirm(msgspec.structs.asdict(message.identity))
            case SessionUpdated(session=shown) | BetaUpdated(session=shown):
                if self._updates:
                    self._confirm(self._updates.pop(0)[1])
                self._confirm(shown)
            case Committed(item_id=name):
                yield from self._committed(at, name)
            case Cleared():
                yield from self._cleared()
            case SpeechStarted(item_id=name):
                self._turn(name)
            case SpeechStopped(item_id=name, audio_end_ms=end):
                turn = self._turn(name)
                utterance = self._utterances[turn.number]
                utterance.end = max(utterance.end, end)
                yield from self._endpoint(at, turn)
            case Delta(item_id=name, delta=str(added)) if added:
                turn = self._turn_of_delta(name)
                if not turn.over:
                    utterance = self._utterances[turn.number]
                    yield from self._shown(at, turn.number, utterance.add(turn, added))
            case Completed():
                yield from self._completed(at, message)
            case Failed(item_id=name, error=problem):
                turn = self._turn_of_end(name)
                utterance = self._utterances[turn.number]
                utterance.fail(turn)
                utterance.at = at
                yield self._refusal(at, problem, turn.number)
                yield from self._final(turn.number)  # other turns may have a text
            case Error(error=problem):
                yield self._refusal(at, problem, self._refused_commit(problem))

    def _confirm(self, content: Mapping[str, object]) -> None:
        """Record the session settings that an event of the server shows.

        The updates that the server has not answered yet are then applied to these
        settings.
        """
        self._confirmed = self._confirmed.changed(content)
        self._apply_updates()

    def _apply_updates(self) -> None:
        self._setup = self._confirmed
        for _, content in self._updates:
            self._setup = self._setup.changed(content)

    def _committed(self, at: int, name: str) -> Iterator[Event]:
        turn = self._turns.get(name)
        if turn is not None and turn.committed == name:
            return
        if turn is not None and turn.committed:  # the id named another item
            del self._turns[name]
            turn = None
        if self._waiting and (turn is None or not turn.ended):
            number, _ = self._waiting.popleft()
            if turn is None:
                turn = self._turns[name] = self._begin(number)
            elif turn.number != number:  # the commit of that utterance was refused
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

    def _endpoint(self, at: int, turn: Turn) -> Iterator[Event]:
        if not turn.ended:
            turn.ended = True
            yield Endpoint(turn.number, at)

    def _cleared(self) -> Iterator[Event]:
        """Drop the turns of uncommitted audio; yield the finals that are then due."""
        for name, turn in list(self._turns.items()):
            if not turn.committed and not turn.over:
                del self._turns[name]
                self._drop(turn)
                yield from self._final(turn.number)

    def _completed(self, at: int, message: Completed) -> Iterator[Event]:
        turn = self._turn_of_end(message.item_id)
        if turn.over:
            return
        utterance = self._utterances[turn.number]
        turn.usage, turn.over = _usage(message.usage), True
        if not message.is_last_result:
            more = self._turns[message.item_id] = self._begin(turn.number)
            more.committed = turn.committed
        utterance.at = at
        changed = utterance.set_text(turn, message.transcript)
        yield from self._final(turn.number)
        yield from self._shown(at, turn.number, changed)

    def _refusal(self, at: int, problem: Problem, item: int | None) -> Refusal:
        cause = self._names.get(problem.event_id)
        return Refusal(at, problem.code or "", problem.message or "", item, cause)

    def _refused_commit(self, problem: Problem) -> int | None:
        """Return the number of the utterance whose commit is refused by an error.

        Return ``None`` if the error refuses no commit. If the error refuses an update,
        this update no longer applies. If the error does not name the refused event, its
        code, its message or its field shows what is refused.
        """
        name = problem.event_id
        named = name is not None and name in self._names
        for place, (number, commit) in enumerate(self._waiting):
            if commit == name if named else _of_commit(problem):
                del self._waiting[place]
                self._refused.add(number)
                self._audio = True  # the audio of a short commit is kept
                return number
        for place, (update, _) in enumerate(self._updates):
            if update == name if named else _of_update(problem):
                del self._updates[place]
                self._apply_updates()
                break
        return None

    # The items of the server

    def _turn(self, name: str) -> Turn:
        """Return the turn of an item id.

        A new id begins a turn of the utterance `_next`.
        """
        if name not in self._turns:
            self._turns[name] = self._begin(self._next)
        return self._turns[name]

    def _turn_of_delta(self, name: str) -> Turn:
        """Return the turn to which a delta with this item id belongs.

        A new id does not always mean a new item, since some servers use a second id for
        an open item.
        """
        if name not in self._turns:
            unnamed = self._grouped or self._next < self._number or self._audio
            if not unnamed and (found := self._open):
                self._turns[name] = found
        return self._turn(name)

    def _turn_of_end(self, name: str) -> Turn:
        """Return the turn that is ended by an event with this item id.

        An id that was never committed may be a second id of an open item.
        """
        turn = self._turns.get(name)
        unknown = turn is None or not (turn.committed or turn.over)
        if unknown and (found := self._open):
            if turn is not None:
                self._drop(turn)
            self._turns[name] = found
        return self._turn(name)

    @property
    def _next(self) -> int:
        """The number of the utterance to which a new item id belongs.

        This number is at most the number of the current utterance.
        """
        if self._grouped:
            return self._waiting[0][0] if self._waiting else self._number
        while self._free in self._refused or self._utterances[self._free].turns:
            self._free += 1
        return min(self._free, self._number)

    @property
    def _open(self) -> Turn | None:
        """The oldest turn that is committed and not over; ``None`` if there is none."""
        committed = (each for each in self._turns.values() if each.committed)
        return next((each for each in committed if not each.over), None)

    @property
    def _grouped(self) -> bool:
        """Return whether an utterance may have several turns."""
        return self._setup.detection is not None and self._recorded_by_client

    def _begin(self, number: int) -> Turn:
        turn = Turn(number)
        self._utterances[number].turns.append(turn)
        return turn

    def _drop(self, turn: Turn) -> None:
        self._utterances[turn.number].drop(turn)
        self._free = min(self._free, turn.number)

    # The events of the timeline

    def _shown(
        self, at: int, number: int, changed: tuple[int, str] | None
    ) -> Iterator[Event]:
        if changed is not None and not self._utterances[number].final:
            kept, added = changed
            yield Partial(number, at, kept, added)

    def _final(self, number: int) -> Iterator[Event]:
        """Yield the final of an utterance if no more text of the utterance can come."""
        utterance = self._utterances[number]
        if utterance.final or not utterance.over:
            return
        if self._grouped and number == self._number and self._may_go_on(utterance):
            return
        utterance.final = True
        yield Final(number, utterance.at, utterance.text, utterance.usage)

    def _may_go_on(self, utterance: Utterance) -> bool:
        """Return whether the current utterance may get another turn.

        No turn can follow once the silence after the audio is long enough. Less silence
        is enough if the last turn already reaches the end of the audio.
        """
        detection = self._setup.detection
        all_heard = utterance.end + 1 > self._sent  # the server rounds to ms
        limit = session_setup.silence if all_heard else session_setup.longest
        return self._ms(self._tail) + 1 < 1000 * limit(detection)


def _of_commit(problem: Problem) -> bool:
    text = f"{problem.code} {problem.message}".lower()
    return "commit" in text or problem.code == "invalid_state"


def _of_update(problem: Problem) -> bool:
    return (problem.param or "").startswith("session")


def _usage(counted: Counted | None) -> Usage | None:
    if counted is None:
        return None
    return Usage(
        counted.input_tokens,
        counted.output_tokens,
        counted.total_tokens,
        counted.seconds,
    )
