"""The declaration of faults, and the hooks by which they change the fake server.

A fault is a class with the decorator `fault`. A `ServerWrapper` changes what the server
sends in each session. A subclass of `Hooks` changes something else, such as an HTTP
response::

    @fault("no-final", "never sends a final")
    class NoFinal(ServerWrapper):
        def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
            return ()

The fake server only calls the hooks; it has no code of its own for any fault.

Another package declares its faults in a module of its own, which it names as an entry
point of the group ``pytest_realtime_asr.faults``.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar, overload

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import (
    Dialect,
    HttpRefusal,
    Reaction,
    Request,
    Server,
    can,
)
from pytest_realtime_asr.fake.correct_server import CorrectServer
from pytest_realtime_asr.fake.drain import Drain
from pytest_realtime_asr.fake.frame_edits import event
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import Wrap
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import WordTime

GROUP = "pytest_realtime_asr.faults"  # the entry points of other packages' modules

Send = Callable[[Frame], Awaitable[None]]


class Hooks:
    """The methods (hooks) by which a fault can change a fake server.

    Most hooks take what a correct server would do and return what the fake server does
    instead. A `Hooks` object belongs to one fake server and may keep state across
    the sessions of this server.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def wrap(self, server: Server) -> Server:
        """Return ``server``, or a wrapper around it, for a new session."""
        return server

    # HTTP

    def accepts_key(self, accepted: bool) -> bool:
        """Return whether the server accepts the key of a request.

        ``accepted`` says whether a correct server accepts it.
        """
        return accepted

    def serves_path(self, served: bool, *, upgrade: bool) -> bool:
        """Return whether the server serves the path of a request.

        ``served`` says whether a correct server serves it. ``upgrade`` says whether the
        request asks for a WebSocket.
        """
        return served

    def response(
        self, connection: ServerConnection, *, upgrade: bool
    ) -> Response | None:
        """Return the response to a request, or ``None`` to continue the handshake.

        ``upgrade`` says whether the request asks for a WebSocket.
        """
        return None

    def refused_request(
        self, refusal: HttpRefusal | Reaction | None
    ) -> HttpRefusal | Reaction | None:
        """Return how the server refuses a request, or ``None`` if it opens a session.

        ``refusal`` says how a correct server refuses the same request.
        """
        return refusal

    def active_sessions(self, number: int) -> int:
        """Return how many sessions the metrics page shows as active."""
        return number

    def running_requests(self, number: int) -> int:
        """Return how many requests the metrics page shows as running."""
        return number

    def resident_memory(self, size: int) -> int:
        """Return the memory in bytes that the metrics page shows."""
        return size

    def listed_models(self, models: Sequence[str]) -> Sequence[str]:
        """Return the names of the models that the server lists."""
        return models

    # WebSocket

    def refusal(self) -> Reaction | None:
        """Return the reaction that refuses a new session, or ``None`` to accept it.

        The server already counts the new session as open.
        """
        return None

    def connection_class(self, kind: type[ServerConnection]) -> type[ServerConnection]:
        """Return the class that the server uses for its connections."""
        return kind

    def max_size(self, size: int | None) -> int | None:
        """Return the largest size of a message in bytes, or ``None`` for no limit."""
        return size

    def connected(self, connection: ServerConnection) -> None:
        """Change a connection on which a session opens."""

    def sender(self, send: Send) -> Send:
        """Return the function by which a session sends its frames."""
        return send

    def idle_timeout(self, seconds: float | None) -> float | None:
        """Return after how many seconds without a frame the server closes a session.

        A keepalive frame does not count as a frame. ``None`` means that the server
        never closes an idle session.
        """
        return seconds

    def idle_notice(self) -> Iterable[Frame]:
        """Return the frames that the server sends before it closes an idle session."""
        return ()

    def client_vanished(self, *, mid_utterance: bool) -> None:
        """React to a client that left without a close frame."""

    def drain(self, drain: Drain) -> Drain:
        """Return how the server ends its open sessions in a shutdown."""
        return drain

    # Text

    def word_time(self, word: WordTime) -> WordTime:
        """Return a recognised word with the times that the server states for it."""
        return word

    def keeps_word(self, kept: bool, *, age: float) -> bool:
        """Return whether a final includes a recognised word.

        ``kept`` says whether the final of a correct server includes it. The word ended
        ``age`` seconds before the end of the audio.
        """
        return kept

    def word_delay(self, seconds: float, *, position: float, session: int) -> float:
        """Return the delay in s with which the partial of a word is sent.

        The word ended ``position`` seconds after the start of the audio. ``session`` is
        the number of the session.
        """
        return seconds

    def final_delay(self, seconds: float, *, session: int) -> float:
        """Return how many seconds after the end of the audio a final is sent.

        ``seconds`` is the delay of a correct server. ``session`` is the number of the
        session.
        """
        return seconds


class Needs(enum.Enum):
    """A feature that a fault changes and that only some servers have.

    The value is the name of the feature in messages. An option of the fake server
    decides whether the server has a ``CAPACITY``. The dialect decides this for each
    other feature.
    """

    ITEMS = "items"
    LIKE_OPENAI = "events like those of OpenAI's protocol"
    SEGMENTS = "segments with numbers"
    TURNS = "turns that the server detects"
    EXPIRY = "time at which a session expires"
    RATES = "sample rate that the client sets"
    STARTS = "commit that starts an utterance"
    SILENT_SET_UP = "set-up that is not answered"
    GAUGE = "gauge of open sessions"
    ANSWERS = "answer to each message"
    RUNNING = "gauge of running requests"
    MOST = "limit on the audio of an utterance"
    SETTLED_TEXT = "segments that the server settles"
    WORD_TIMES = "times of words"
    CAPACITY = "capacity"
    LIKE_DEEPGRAM = "events like those of Deepgram's protocol"
    GREETING = "event that opens a session"
    SESSION_IDS = "ids of sessions"
    SET_UP = "frames that set a session up"
    SEVERAL = "second utterance in a session"
    EMPTY = "utterances without audio"
    TEXT_AUDIO = "audio in text frames"
    USAGE = "usage in its finals"
    FREE_TEXT = "text that the server sends on its own"
    DELTAS = "events with the added text only"
    ERRORS = "events that report errors"
    CLOSES = "close by the server at the end of a session"
    NAMED_MODEL = "model at the top level of the session update"
    CHECKED_OPTIONS = "options in the URL that the server checks"


_CAPABILITIES: Mapping[Needs, Capability] = {
    Needs.WORD_TIMES: Capability.WORD_TIMES,
    Needs.GREETING: Capability.GREETING,
    Needs.SESSION_IDS: Capability.SESSION_IDS,
    Needs.SET_UP: Capability.SET_UP,
    Needs.SEVERAL: Capability.SEVERAL_UTTERANCES,
    Needs.EMPTY: Capability.EMPTY_UTTERANCES,
    Needs.TEXT_AUDIO: Capability.TEXT_AUDIO,
    Needs.USAGE: Capability.USAGE,
}
# Features that come with another feature
_INCLUDED: Mapping[Needs, frozenset[Needs]] = {
    Needs.CLOSES: frozenset({Needs.ANSWERS, Needs.LIKE_DEEPGRAM}),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which the fake server breaks its protocol.

    ``about`` completes the sentence "a server that ...". ``hooks`` returns the hooks of
    the fault for one fake server. ``needs`` is the feature without which
    the fault has no effect.
    """

    name: str
    about: str
    hooks: Callable[[ServerState], Hooks]
    needs: Needs | None = None


class _Wrapping(Hooks):
    """The hooks of a fault that wraps the server's side of each session."""

    def __init__(self, state: ServerState, around: Wrap) -> None:
        super().__init__(state)
        self._around = around

    def wrap(self, server: Server) -> Server:
        return self._around(server, self._state)


FAULTS: dict[str, Fault] = {}  # by name, in the order of their declaration

_T = TypeVar("_T")


@overload
def fault(
    name: str, about: str, *, needs: Needs | None = None
) -> Callable[[_T], _T]: ...
@overload
def fault(
    name: str, about: str, *, by: Callable[[_T], Wrap], needs: Needs | None = None
) -> Callable[[_T], _T]: ...
def fault(
    name: str,
    about: str,
    *,
    by: Callable[[Any], Wrap] | None = None,
    needs: Needs | None = None,
) -> Callable[[Any], Any]:
    """Return a decorator that declares a `Hooks` class or a wrapper as a fault.

    If the decorated object is something else, such as a function, ``by`` makes the
    wrapper from this object. The decorator raises ValueError if there is already a
    fault of this name.
    """

    def declare(declared: Any) -> Any:
        if name in FAULTS:
            raise ValueError(f"there is already a fault {name!r}; choose another name")
        if isinstance(declared, type) and issubclass(declared, Hooks):
            FAULTS[name] = Fault(name, about, declared, needs)
        else:
            around: Wrap = declared if by is None else by(declared)
            FAULTS[name] = Fault(name, about, lambda s: _Wrapping(s, around), needs)
        return declared

    return declare


def known() -> Mapping[str, Fault]:
    """Return the faults of this package and of all installed packages, by name.

    Raises LookupError if a module of an installed package cannot be imported.
    """
    _import_installed()
    return FAULTS


@cache
def _import_installed() -> None:
    """Import the modules in which installed packages declare their faults."""
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except (ImportError, AttributeError, ValueError) as error:
            raise LookupError(
                f"the faults of the entry point {point.name} in the group {GROUP} "
                f"cannot be imported from {point.value}: {error}"
            ) from error


def lacking(name: str, dialect: Dialect) -> Needs | None:
    """Return the feature that a fault needs and that the servers of a dialect lack.

    Return ``None`` if nothing is lacking. A capacity is never lacking, since it is an
    option of every fake server. The traits of the dialect say whether its servers have
    gauges and a limit on the audio, and have the features of its capabilities. A
    correct server shows whether it sends deltas and checks options in the URL. For any
    other feature, the faults that prove the checks of the dialect decide: the servers
    have the feature if one of these faults needs it.
    """
    faults = known()
    needs = faults[name].needs
    if needs is None or needs is Needs.CAPACITY:
        return None
    if needs in _CAPABILITIES:
        return None if can(dialect, _CAPABILITIES[needs]) else needs
    operations = dialect.traits.operations
    stated: Mapping[Needs, Callable[[], bool]] = {
        Needs.GAUGE: lambda: bool(operations.gauge),
        Needs.RUNNING: lambda: bool(operations.running),
        Needs.MOST: lambda: bool(dialect.traits.most),
        Needs.CHECKED_OPTIONS: lambda: _checks_options(dialect),
    }
    if needs in stated:
        return None if stated[needs]() else needs
    proofs = [each.proof for each in dialect.requirements if each.proof is not None]
    named = {fault for proof in proofs for fault in proof.faults}
    having = {faults[fault].needs for fault in named if fault in faults}
    if needs is Needs.DELTAS and _sends_deltas(dialect):
        return None
    if needs is Needs.FREE_TEXT:  # the opposite of a server that only answers
        return needs if Needs.ANSWERS in having else None
    return None if having & {needs, *_INCLUDED.get(needs, ())} else needs


def _sends_deltas(dialect: Dialect) -> bool:
    """Return whether a correct server sends the text of an utterance in deltas."""
    correct = CorrectServer(dialect, ("model",))
    frames = (*correct.partial("so"), *correct.utterance("so")[1])
    return any("delta" in event(frame) for frame in frames)


def _checks_options(dialect: Dialect) -> bool:
    """Return whether a correct server refuses wrong values of the client's query."""
    query = Request.of(f"?{dialect.caller('model', {}).query}", {}).query
    wrong = Request(query=dict.fromkeys(query, ("no such value",)))
    return dialect.refusal(wrong, ("model",)) is not None


def having(name: str) -> tuple[str, ...]:
    """Return the names of the installed dialects in which a fault has an effect.

    A profile is named only if the fault has no effect in the dialect without it.
    """
    found = []
    for each in dialects.installed():
        dialect = dialects.load(each)
        profiles = [f"{each}:{profile}" for profile in dialect.profiles]
        names = [n for n in profiles if lacking(name, dialects.load(n)) is None]
        found += names if lacking(name, dialect) is not None else [each]
    return tuple(found)


class Faults(Hooks):
    """The hooks of several faults, applied in the order of ``names``.

    If a name is unknown, raises LookupError with a message that lists all faults.
    """

    def __init__(self, names: Iterable[str], state: ServerState | None = None) -> None:
        super().__init__(state or ServerState())
        self._hooks: list[Hooks] = []
        for name in names:
            faults = known()
            if name not in faults:
                choice = ", ".join(faults)
                raise LookupError(f"unknown fault {name!r}; choose from {choice}")
            self._hooks.append(faults[name].hooks(self._state))

    def wrap(self, server: Server) -> Server:
        for each in self._hooks:
            server = each.wrap(server)
        return server

    def accepts_key(self, accepted: bool) -> bool:
        for each in self._hooks:
            accepted = each.accepts_key(accepted)
        return accepted

    def serves_path(self, served: bool, *, upgrade: bool) -> bool:
        for each in self._hooks:
            served = each.serves_path(served, upgrade=upgrade)
        return served

    def response(
        self, connection: ServerConnection, *, upgrade: bool
    ) -> Response | None:
        for each in self._hooks:
            response = each.response(connection, upgrade=upgrade)
            if response is not None:
                return response
        return None

    def refused_request(
        self, refusal: HttpRefusal | Reaction | None
    ) -> HttpRefusal | Reaction | None:
        for each in self._hooks:
            refusal = each.refused_request(refusal)
        return refusal

    def active_sessions(self, number: int) -> int:
        for each in self._hooks:
            number = each.active_sessions(number)
        return number

    def running_requests(self, number: int) -> int:
        for each in self._hooks:
            number = each.running_requests(number)
        return number

    def resident_memory(self, size: int) -> int:
        for each in self._hooks:
            size = each.resident_memory(size)
        return size

    def listed_models(self, models: Sequence[str]) -> Sequence[str]:
        for each in self._hooks:
            models = each.listed_models(models)
        return models

    def refusal(self) -> Reaction | None:
        refusals = (each.refusal() for each in self._hooks)
        return next((each for each in refusals if each is not None), None)

    def connection_class(self, kind: type[ServerConnection]) -> type[ServerConnection]:
        for each in self._hooks:
            kind = each.connection_class(kind)
        return kind

    def max_size(self, size: int | None) -> int | None:
        for each in self._hooks:
            size = each.max_size(size)
        return size

    def connected(self, connection: ServerConnection) -> None:
        for each in self._hooks:
            each.connected(connection)

    def sender(self, send: Send) -> Send:
        for each in self._hooks:
            send = each.sender(send)
        return send

    def idle_timeout(self, seconds: float | None) -> float | None:
        for each in self._hooks:
            seconds = each.idle_timeout(seconds)
        return seconds

    def idle_notice(self) -> Iterable[Frame]:
        return [frame for each in self._hooks for frame in each.idle_notice()]

    def client_vanished(self, *, mid_utterance: bool) -> None:
        for each in self._hooks:
            each.client_vanished(mid_utterance=mid_utterance)

    def drain(self, drain: Drain) -> Drain:
        for each in self._hooks:
            drain = each.drain(drain)
        return drain

    def word_time(self, word: WordTime) -> WordTime:
        for each in self._hooks:
            word = each.word_time(word)
        return word

    def keeps_word(self, kept: bool, *, age: float) -> bool:
        for each in self._hooks:
            kept = each.keeps_word(kept, age=age)
        return kept

    def word_delay(self, seconds: float, *, position: float, session: int) -> float:
        for each in self._hooks:
            seconds = each.word_delay(seconds, position=position, session=session)
        return seconds

    def final_delay(self, seconds: float, *, session: int) -> float:
        for each in self._hooks:
            seconds = each.final_delay(seconds, session=session)
        return seconds
