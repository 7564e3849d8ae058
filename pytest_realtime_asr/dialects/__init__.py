"""The wire protocols: what a client says and hears, what a server says and hears.

A dialect is found by its name among the entry points of the group
``pytest_realtime_asr.dialects``. Everything in it is a value or a fold: it touches no
clock and no socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.requirements.scenario_steps import Exercise, Misuse
from pytest_realtime_asr.trace.recording import Message, Recording
from pytest_realtime_asr.trace.records import Record, Trace
from pytest_realtime_asr.trace.timeline import Event, Timeline, Usage

GROUP = "pytest_realtime_asr.dialects"


class Reader(Protocol):
    """A fold of the records of one session, in their order, into its meaning.

    ``ready`` is when the server said that the session may begin (ns), else ``None``;
    ``session`` is the id that it gave it, else empty.
    """

    ready: int | None
    session: str

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        """The events that this record adds."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a server does on hearing one frame.

    It answers with ``replies``; ``begin`` starts an utterance, ``audio`` (PCM) belongs
    to the one that is open or comes next, ``finish`` says that its audio is complete.
    ``drop`` forgets the one that is open. Utterances are numbered from 0 as they begin.
    ``carried`` are the samples of the frame, where ``audio`` is not all of its audio.
    ``pause`` stops it from reading for so many seconds, ``close`` ends the connection
    with this code (0: without a close frame) and this ``reason``, and ``die`` ends the
    whole process.
    """

    replies: Iterable[str] = ()
    begin: bool = False
    audio: bytes = b""
    finish: bool = False
    drop: bool = False
    carried: int = 0
    pause: float = 0.0
    close: int | None = None
    reason: str = ""
    die: bool = False


class Caller(Protocol):
    """The client's side of one session, without its socket and its clock.

    ``rate`` is that of the audio in Hz; its frames are ``binary`` ones or text. Where
    ``tail`` is not 0, the server ends an utterance by itself, and silence is to follow
    the audio until it has, for so many seconds at most.
    """

    rate: int
    binary: bool
    tail: float

    def configure(self) -> Sequence[str]:
        """The frames that set the session up."""

    def begin(self) -> Sequence[str]:
        """The frames before the audio of an utterance."""

    def append(self, pcm: bytes) -> bytes:
        """The frame that carries this audio, as UTF-8; built on the measured path."""

    def finish(self) -> Sequence[str]:
        """The frames that tell the server that the audio is complete."""


class Server(Protocol):
    """The server's side of one session, without its socket and its recogniser.

    ``rate`` is that of the audio in its reactions, in Hz, as of now.
    """

    @property
    def rate(self) -> int: ...

    def open(self, session: str, created: int) -> Iterable[str]:
        """What the server says as soon as the connection stands.

        ``session`` is the id that it gives the session, ``created`` its time in unix
        seconds.
        """

    def hear(self, frame: str | bytes) -> Reaction:
        """What a frame of the client makes it do."""

    def partial(self, added: str, item: int) -> Iterable[str]:
        """The frames for a piece of text that this utterance goes on with."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        """The frames that end this utterance."""

    def expire(self) -> Reaction:
        """What it does when the session has lasted as long as it may."""


class Dialect(Protocol):
    """One protocol. ``rate`` is in Hz, ``path`` is that of the WebSocket.

    Its servers may differ by ``profiles``, each of which is a dialect by `profiled`.
    ``table`` is the order of its moves, which begins in the state ``start``.
    ``misuses`` and ``exercises`` are what the conformance suite does to a server beside
    what every dialect can.
    """

    name: str
    rate: int
    path: str
    requirements: tuple[Requirement, ...]
    misuses: tuple[Misuse, ...]
    exercises: tuple[Exercise, ...]
    table: Table
    start: str

    @property
    def profiles(self) -> Mapping[str, str]:
        """Its profiles by name, each with what it changes (``a=b c=d``)."""

    def profiled(self, words: Sequence[str]) -> Dialect:
        """The dialect of a profile: its name, and what differs from it (``a=b``).

        Raises ValueError, which says what there is.
        """

    def parse(self, record: Record) -> Message:
        """What a frame says; never raises, whatever the frame holds."""

    def reader(self) -> Reader:
        """A new reader for one session."""

    def query(self, model: str) -> str:
        """The query of the WebSocket's URL, without its question mark."""

    def headers(self, key: str) -> Mapping[str, str]:
        """The headers of the handshake; ``key`` is empty where there is none."""

    def greets(self, record: Record) -> bool:
        """Whether this is what a server of this dialect says first."""

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        """The client's side of a new session. Raises ValueError for bad options."""

    def server(self, models: Sequence[str], *, limit: float = 3600.0) -> Server:
        """The server's side of a new session, which may last ``limit`` s."""


def installed() -> tuple[str, ...]:
    """The names of all dialects."""
    return tuple(sorted(_points()))


def load(name: str) -> Dialect:
    """The dialect of this name, such as ``openai`` or ``openai:sglang rates=16000``.

    What stands behind the colon is its profile. Raises LookupError, which names the
    dialects or the profiles that there are.
    """
    name, colon, profile = name.partition(":")
    point = _points().get(name)
    if point is None:
        raise LookupError(
            f"unknown dialect {name!r}; installed are: {', '.join(installed())}"
        )
    try:
        dialect: Dialect = point.load()
    except (ImportError, AttributeError) as error:
        raise LookupError(
            f"the dialect {name} cannot be loaded from {point.value}: {error}"
        ) from error
    if not colon:
        return dialect
    try:
        return dialect.profiled(profile.split())
    except ValueError as error:
        raise LookupError(f"dialect {name}, profile {profile!r}: {error}") from None


def with_profile(words: str, *, of: str = "") -> str:
    """The name of the dialect with this profile, such as ``openai:sglang rates=16000``.

    ``words`` are the profile's name and what differs from it. ``of`` is the dialect
    where the user names it, and then its own profile may be changed. Raises
    LookupError, which names the profiles or the capabilities that there are.
    """
    if ":" in of:
        raise LookupError(f"the dialect {of} names a profile already")
    name, *_ = words.split()
    profiles = {each: load(each).profiles for each in installed()}
    having = [each for each, names in profiles.items() if name in names]
    there = "; ".join(f"{each}: {', '.join(p)}" for each, p in profiles.items() if p)
    if of:
        load(of)
        if "=" not in name and of not in having:
            raise LookupError(f"{of} has no profile {name!r}; there are: {there}")
    elif not having:
        raise LookupError(f"no dialect has a profile {name!r}; there are: {there}")
    elif len(having) > 1:
        raise LookupError(
            f"{' and '.join(having)} have a profile {name!r}: name the dialect as well"
        )
    found = f"{of or having[0]}:{' '.join(words.split())}"
    load(found)
    return found


def greeted(record: Record) -> tuple[str, ...]:
    """The names of the dialects whose servers say this first.

    Where those of a profile alone do, it is named with the profile.
    """
    found = []
    for name in installed():
        dialect = load(name)
        profiles = (f"{name}:{profile}" for profile in dialect.profiles)
        each = (name, *profiles)
        found += [it for it in each if load(it).greets(record)][:1]
    return tuple(found)


def recording(dialect: Dialect, trace: Trace) -> Recording:
    """Read a trace: each of its frames is parsed once."""
    messages = tuple(map(dialect.parse, trace.records))
    reader = dialect.reader()
    events: list[Event] = []
    for record, message in zip(trace.records, messages, strict=True):
        events.extend(reader.step(record, message))
    return Recording(trace, messages, timeline(trace, reader, events))


def timeline(trace: Trace, reader: Reader, events: Iterable[Event]) -> Timeline:
    """Put the events that a reader found in a trace together."""
    return Timeline(
        rate=trace.rate,
        opened=trace.opened,
        ready=reader.ready,
        events=tuple(events),
        end=trace.end,
        lag=trace.lag,
        pings=trace.pings,
        session=reader.session,
    )


def part(
    dialect: Dialect,
    trace: Trace,
    *,
    role: str = "",
    spoken: Mapping[int, Utterance] | None = None,
) -> Part:
    """The trace as a part of the evidence, in one reading."""
    return Part(role, recording(dialect, trace), spoken or {})


def read(dialect: Dialect, trace: Trace) -> Timeline:
    """Return what the frames of a trace mean."""
    return recording(dialect, trace).timeline


@cache  # what is installed does not change while we run, and reading it takes ms
def _points() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
