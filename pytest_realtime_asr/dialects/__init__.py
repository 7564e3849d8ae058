"""Dialects: the wire protocols that a client and a server of this package implement.

A dialect is found by its name among the entry points of the group
``pytest_realtime_asr.dialects``. It consists of values and folds, and uses no clock and
no socket.
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
    """A fold of the records of one session, in their order, into its timeline.

    ``ready`` is the time (ns) at which the server declared the session ready, ``None``
    before; ``session`` is the id that the server gave it, empty before.
    """

    ready: int | None
    session: str

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        """Return the events that this record adds."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a server does when it has received one frame.

    It sends ``replies``. ``begin`` starts an utterance; ``audio`` (PCM) belongs to the
    open one or to the next; ``finish`` declares its audio complete; ``drop`` discards
    it. Utterances are numbered from 0 in the order in which they begin. ``carried`` is
    the number of samples in the frame, if ``audio`` is not all of them. ``pause`` stops
    reading for so many seconds. ``close`` ends the connection with this code (0: no
    close frame) and this ``reason``. ``die`` ends the whole process.
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

    ``rate`` is the sample rate in Hz; audio frames are ``binary`` or text. If ``tail``
    is not 0, the server ends an utterance by itself: the client then sends silence
    after the audio until the server has, for at most so many seconds.
    """

    rate: int
    binary: bool
    tail: float

    def configure(self) -> Sequence[str]:
        """Return the frames that set up the session."""

    def begin(self) -> Sequence[str]:
        """Return the frames before the audio of an utterance."""

    def append(self, pcm: bytes) -> bytes:
        """Return the frame with this audio, as UTF-8; it runs on the measured path."""

    def finish(self) -> Sequence[str]:
        """Return the frames that declare the audio complete."""


class Server(Protocol):
    """The server's side of one session, without its socket and its recogniser.

    ``rate`` is the current sample rate of the audio in its reactions, in Hz.
    """

    @property
    def rate(self) -> int: ...

    def open(self, session: str, created: int) -> Iterable[str]:
        """Return the frames that the server sends as soon as the connection is open.

        ``session`` is the id of the session, ``created`` its time in unix seconds.
        """

    def hear(self, frame: str | bytes) -> Reaction:
        """Return the reaction to a frame of the client."""

    def partial(self, added: str, item: int) -> Iterable[str]:
        """Return the frames for text that is added to this utterance."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        """Return the frames that end this utterance."""

    def expire(self) -> Reaction:
        """Return the reaction to the end of the session's maximum duration."""


class Dialect(Protocol):
    """One protocol; ``rate`` is in Hz, ``path`` is the default path of the WebSocket.

    ``table`` is the order of its moves, which begins in the state ``start``. The
    conformance suite runs the scenarios of every dialect, and those of ``misuses`` and
    ``exercises``. `profiled` returns the dialect of one of the ``profiles``.
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
        """The profiles by name, each with its changes (``a=b c=d``)."""

    def profiled(self, words: Sequence[str]) -> Dialect:
        """Return the dialect of a profile: its name, and changes to it (``a=b``).

        Raises ValueError, which names the profiles or capabilities that exist.
        """

    def parse(self, record: Record) -> Message:
        """Return the message in a frame; never raises, whatever the frame contains."""

    def reader(self) -> Reader:
        """Return a new reader for one session."""

    def query(self, model: str) -> str:
        """Return the query of the WebSocket's URL, without its question mark."""

    def headers(self, key: str) -> Mapping[str, str]:
        """Return the headers of the handshake; an empty ``key`` is no key."""

    def greets(self, record: Record) -> bool:
        """Return whether a server of this dialect sends this first."""

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        """Return the client's side of a session. Raises ValueError for bad options."""

    def server(self, models: Sequence[str], *, limit: float = 3600.0) -> Server:
        """Return the server's side of a session that lasts at most ``limit`` s."""


def installed() -> tuple[str, ...]:
    """Return the names of all installed dialects."""
    return tuple(sorted(_points()))


def load(name: str) -> Dialect:
    """Return the dialect of a name such as ``openai`` or ``openai:sglang vad=yes``.

    The profile follows the colon. Raises LookupError, which names the dialects or
    profiles that exist.
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
    """Return the name of a dialect with a profile: ``openai:sglang rates=16000``.

    ``words`` are the name of the profile and the changes to it. ``of`` is the dialect
    that the user named, if any; its default profile can be changed too. Raises
    LookupError, which names the profiles or capabilities that exist.
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
    """Return the names of the dialects whose servers send this first.

    If only servers of a profile do, the name includes the profile.
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


@cache  # the installed packages do not change during a run; reading them takes ms
def _points() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
