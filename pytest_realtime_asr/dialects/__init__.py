"""Dialects: the wire protocols that a client and a server of this package implement.

Each dialect is installed under its own name, as an entry point of the group
``pytest_realtime_asr.dialects``. The code of a dialect uses no clock and no socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, Self
from urllib.parse import parse_qs

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.capability import PLAIN, Capability
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.requirements.scenario_steps import Exercise, Misuse
from pytest_realtime_asr.trace.recording import Flawed, Message, Recording
from pytest_realtime_asr.trace.records import Frame, Record, Trace
from pytest_realtime_asr.trace.timeline import Event, Timeline, Usage, WordTime

GROUP = "pytest_realtime_asr.dialects"


class Reader(Protocol):
    """Turns the records of one session, in their order, into events of its timeline.

    ``ready`` is the time (ns) at which the server declared the session ready, and
    ``None`` until then. In a protocol without a greeting, ``ready`` stays ``None``.
    ``session`` is the id of the session, and empty until the server sends it.
    """

    ready: int | None
    session: str

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        """Return the events that this record adds to the timeline."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a server does when it has received one frame.

    The server sends ``replies``. ``begin`` starts an utterance. ``audio`` (PCM) belongs
    to the open utterance, or to the next utterance if none is open. ``finish`` declares
    the audio of the open utterance complete; ``drop`` discards the open utterance.
    Utterances are numbered from 0 in the order in which they begin. ``carried`` is the
    number of samples in the client's frame; 0 means as many as in ``audio``. ``pause``
    is the time, in seconds, for which the server stops reading. ``close`` is the code
    with which the server closes the connection, and ``reason`` is the reason in its
    close frame. A code of 0 ends the connection without a close frame; ``None`` keeps
    the connection open. With ``after_finals``, the server closes only after it has sent
    the finals of all utterances whose audio is complete. ``die`` ends the server
    process.
    """

    replies: Iterable[Frame] = ()
    begin: bool = False
    audio: bytes = b""
    finish: bool = False
    drop: bool = False
    carried: int = 0
    pause: float = 0.0
    close: int | None = None
    reason: str = ""
    after_finals: bool = False
    die: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """The client's request to open a WebSocket, as the server receives it.

    ``query`` maps each parameter in the query of the URL to its values. ``headers``
    maps the name of each header, in lower case, to its value.
    """

    path: str = ""
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, path: str, headers: Mapping[str, str]) -> Self:
        """Return the request for a path, which may be followed by ``?`` and a query."""
        where, _, query = path.partition("?")
        return cls(
            where,
            parse_qs(query, keep_blank_values=True),
            {name.lower(): value for name, value in headers.items()},
        )

    def first(self, name: str) -> str | None:
        """Return the first value of a query parameter; ``None`` if it is absent."""
        return next(iter(self.query.get(name, ())), None)


NO_REQUEST = Request()


@dataclass(frozen=True, slots=True)
class HttpRefusal:
    """The HTTP response by which a server refuses to open a session."""

    status: int
    body: str = ""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The frame that keeps an idle session open.

    The client sends ``frame`` if it has sent no other frame for ``interval`` seconds.
    """

    frame: Frame
    interval: float


@dataclass(frozen=True, slots=True)
class IdleClose:
    """How a server ends a session in which the client sends nothing.

    The server closes with ``code`` and ``reason`` after ``seconds`` seconds in which no
    frame came.
    """

    seconds: float
    code: int
    reason: str = ""


class Caller(Protocol):
    """The client's side of one session, without its socket and its clock.

    ``rate`` is the sample rate in Hz. ``binary`` says that audio is sent in binary
    frames; otherwise it is sent in text frames. If ``tail`` is not 0, the server ends
    an utterance by itself. The client then sends silence after the audio until the
    server has ended the utterance, for at most ``tail`` seconds. ``query`` is the query
    of the WebSocket's URL, without the question mark. ``headers`` are the headers of
    the handshake without the headers that state the key.
    """

    rate: int
    binary: bool
    tail: float
    query: str
    headers: Mapping[str, str]

    def configure(self) -> Sequence[Frame]:
        """Return the frames that set up the session."""

    def begin(self) -> Sequence[Frame]:
        """Return the frames to send before the audio of an utterance."""

    def append(self, pcm: bytes) -> bytes:
        """Return the bytes of a frame with the audio ``pcm``.

        The frame is sent after this call returns, so the call should be fast.
        """

    def finish(self) -> Sequence[Frame]:
        """Return the frames that declare the audio complete."""


class Server(Protocol):
    """The server's side of one session, without its socket and its recogniser.

    ``rate`` is the current sample rate of the audio in the reactions, in Hz.
    """

    @property
    def rate(self) -> int: ...

    def open(self, session: str, created: int) -> Iterable[Frame]:
        """Return the frames that the server sends as soon as the connection is open.

        ``session`` is the id of the session. ``created`` is the time at which the
        session started, in Unix seconds.
        """

    def hear(self, frame: Frame) -> Reaction:
        """Return the reaction to a frame of the client."""

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        """Return the frames that add the text ``added`` to the utterance ``item``."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        """Return the frames that end the utterance ``item`` with its final ``text``."""

    def expire(self) -> Reaction:
        """Return what the server does when the session reaches its maximum duration."""


class TimedServer(Server, Protocol):
    """The server's side of a session in a protocol with `Capability.WORD_TIMES`.

    In each call, ``words`` has all words of the utterance's text so far with their
    times, including the words that this call adds. ``words`` is empty if the times are
    not known.
    """

    def partial(
        self, added: str, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[Frame]: ...

    def final(
        self, text: str, usage: Usage, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[Frame]: ...


@dataclass(frozen=True, slots=True)
class Operations:
    """What the servers of a dialect show to their operators, over plain HTTP.

    ``version`` is the version of the server that the fake server imitates; the route
    ``GET /version`` returns it. It is empty if the servers do not have this route.

    Each other field is the name of a metric that ``GET /metrics`` returns. The name is
    empty if the servers do not have the metric. The metrics are:

    - ``gauge``: the number of open sessions
    - ``counter``: the number of all sessions so far
    - ``running``: the number of requests that the server is computing
    - ``waiting``: the number of requests that wait
    - ``kv_cache``: the used share of the KV cache, from 0 to 1
    """

    version: str = ""
    gauge: str = ""
    counter: str = ""
    running: str = ""
    waiting: str = ""
    kv_cache: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a dialect says about its protocol and servers, in addition to its events.

    ``capabilities`` is what the protocol can do; the shared requirements and the
    scenarios of the suite depend on it. ``operations`` is what the servers show over
    HTTP. ``keepalive`` is what the client sends in an idle session; it is ``None`` if
    the protocol has no such frame. ``idle`` is how the servers end an idle session; it
    is ``None`` if they keep it open. A server must accept an utterance of up to
    ``most`` seconds; 0 means any length. ``final`` names the frame that is the final of
    an utterance, for messages about a final that does not come; it may be empty.
    """

    capabilities: frozenset[Capability] = PLAIN
    operations: Operations = Operations()
    keepalive: Keepalive | None = None
    idle: IdleClose | None = None
    most: float = 0.0
    final: str = ""


class Dialect(Protocol):
    """One protocol of realtime transcription.

    ``rate`` is the sample rate in Hz. ``path`` is the default path of the WebSocket.

    ``table`` is the order of events; a session begins in the state ``start``. The
    conformance suite runs the scenarios that all dialects share. It also runs the
    scenarios that ``misuses`` and ``exercises`` describe. `profiled` returns the
    dialect with one of the ``profiles``.
    """

    name: str
    rate: int
    path: str
    requirements: tuple[Requirement, ...]
    misuses: tuple[Misuse, ...]
    exercises: tuple[Exercise, ...]
    table: Table
    start: str
    traits: Traits

    @property
    def profiles(self) -> Mapping[str, str]:
        """The changes that each profile makes (``a=b c=d``), by the profile's name."""

    def profiled(self, words: Sequence[str]) -> Dialect:
        """Return the dialect with a profile.

        ``words`` are the name of the profile, then changes to this profile (``a=b``).
        Raises ValueError for an unknown word; the message lists the known words.
        """

    def parse(self, record: Record) -> Message:
        """Return the message in a frame; never raises, even if the frame is broken.

        For an event of the server with missing or wrong fields, return a `Flawed`
        message, so that the session goes on.
        """

    def reader(self) -> Reader:
        """Return a new reader for one session."""

    def headers(self, key: str) -> Mapping[str, str]:
        """Return the headers of the handshake; an empty ``key`` means no key."""

    def greets(self, record: Record) -> bool:
        """Return whether this frame may be a server's first frame in a session."""

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        """Return the client's side of a session.

        Raises ValueError for invalid options.
        """

    def refusal(
        self, request: Request, models: Sequence[str]
    ) -> HttpRefusal | Reaction | None:
        """Return how a server refuses to open a session; ``None`` if it opens one.

        A `Reaction` refuses the session after the WebSocket is open.
        """

    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> Server:
        """Return the server's side of a session of at most ``limit`` seconds."""


def can(dialect: Dialect, capability: Capability) -> bool:
    """Return whether the protocol of a dialect has a capability."""
    return capability in dialect.traits.capabilities


def audio_frame(caller: Caller, pcm: bytes) -> Frame:
    """Return a frame with audio, as binary data or as text."""
    frame = caller.append(pcm)
    return frame if caller.binary else frame.decode()


def installed() -> tuple[str, ...]:
    """Return the names of all installed dialects."""
    return tuple(sorted(_points()))


def load(name: str) -> Dialect:
    """Return the dialect with a name such as ``openai`` or ``openai:sglang vad=yes``.

    The profile follows the colon. Raises LookupError if there is no such dialect or
    profile; the message lists the known names.
    """
    name, colon, profile = name.partition(":")
    point = _points().get(name)
    if point is None:
        raise LookupError(
            f"unknown dialect {name!r}; choose from {', '.join(installed())}"
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
    """Return the name of a dialect with a profile, as in ``openai:sglang rates=16000``.

    ``words`` are the name of the profile, then changes to this profile. ``of`` is the
    dialect that the user named, if any. If ``of`` is given, ``words`` may be changes
    without the name of a profile; they then apply to the default profile of ``of``.
    Raises LookupError if there is no such profile or capability; the message lists the
    known names.
    """
    if ":" in of:
        raise LookupError(
            f"the dialect {of} already names a profile; name only one profile"
        )
    name, *_ = words.split() or [""]
    profiles = {each: load(each).profiles for each in installed()}
    having = [each for each, names in profiles.items() if name in names]
    there = "; ".join(f"{each}: {', '.join(p)}" for each, p in profiles.items() if p)
    if "=" in name and not of:
        raise LookupError(
            f"{name!r} changes a profile, but no dialect is named; name the dialect "
            "with --realtime-dialect=NAME"
        )
    if of:
        load(of)
        if "=" not in name and of not in having:
            raise LookupError(f"{of} has no profile {name!r}; the profiles are {there}")
    elif not having:
        raise LookupError(
            f"no dialect has a profile {name!r}; the profiles are {there}"
        )
    elif len(having) > 1:
        raise LookupError(
            f"the dialects {' and '.join(having)} have a profile {name!r}; name the "
            "dialect with --realtime-dialect=NAME"
        )
    found = f"{of or having[0]}:{' '.join(words.split())}"
    load(found)
    return found


def recording(dialect: Dialect, trace: Trace) -> Recording:
    """Return the recording of a trace; each frame of the trace is parsed once."""
    reader = dialect.reader()
    messages: list[Message] = []
    flaws: dict[int, Flawed] = {}
    events: list[Event] = []
    for index, record in enumerate(trace.records):
        message = dialect.parse(record)
        if isinstance(message, Flawed):
            flaws[index] = message
            message = message.event
        messages.append(message)
        events.extend(reader.step(record, message))
    found = timeline(dialect, trace, reader, events)
    return Recording(trace, tuple(messages), found, flaws)


def timeline(
    dialect: Dialect, trace: Trace, reader: Reader, events: Iterable[Event]
) -> Timeline:
    """Return the timeline of a trace, made of the events that ``reader`` found."""
    greets = can(dialect, Capability.GREETING)
    return Timeline(
        rate=trace.rate,
        opened=trace.opened,
        ready=reader.ready if greets else trace.opened,
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
    """Return a trace as a part of the evidence; each of its frames is parsed once."""
    return Part(role, recording(dialect, trace), spoken or {})


def read(dialect: Dialect, trace: Trace) -> Timeline:
    """Return the timeline of a trace."""
    return recording(dialect, trace).timeline


@cache  # the installed packages do not change during a run; reading them takes ms
def _points() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
