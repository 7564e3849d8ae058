"""The fake server: the server side of a dialect, a recogniser and a socket.

The delays of the fake server (see `utterance`) are known exactly, so a measurement of
the fake server can be compared with these delays.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from websockets.asyncio.server import Server as ListeningServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from pytest_realtime_asr.client.announcement import ANNOUNCED
from pytest_realtime_asr.dialects import (
    Reaction,
    Request,
    Server,
    TimedServer,
    audio_frame,
    can,
)
from pytest_realtime_asr.fake.config import FakeConfig, Timing
from pytest_realtime_asr.fake.drain import Drain
from pytest_realtime_asr.fake.faults import Faults
from pytest_realtime_asr.fake.http_routes import HttpRoutes
from pytest_realtime_asr.fake.legal_variation import VariedServer
from pytest_realtime_asr.fake.recognisers.recogniser import Recogniser
from pytest_realtime_asr.fake.replay import Recordings, Replay
from pytest_realtime_asr.fake.replayed_session import ReplayedSession
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.session import FakeSession
from pytest_realtime_asr.fake.word_times import WordTimes
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.recorder import Recorder
from pytest_realtime_asr.trace.records import Ending, Trace, Vantage
from pytest_realtime_asr.trace.timeline import WordTime

HOST = "127.0.0.1"
KEPT = 1000  # the number of latest sessions whose traces are kept
_MAX_SIZE = 16 * 2**20  # bytes of a message
_PING = 20  # s between pings, and the longest wait for a pong


class Fake:
    """A fake server in this process; `FakeServer` runs a server in another process.

    ``source`` is a recogniser, which recognises what the client sends, or recordings,
    which are replayed. Faults do not change the answers that are replayed. Raises
    LookupError if a fault of the configuration is unknown.
    """

    def __init__(self, config: FakeConfig, source: Recogniser | Recordings) -> None:
        self._config = config
        self._source = source
        self._state = ServerState(
            config.dialect, config.models, key=config.key, capacity=config.capacity
        )
        self._faults = Faults(config.faults, self._state)
        self._routes = HttpRoutes(config, self._state, self._faults, self.traces)
        self._ids = random.Random(config.seed)
        self._sessions: set[FakeSession | ReplayedSession] = set()  # that are open
        self._recorders: deque[Recorder] = deque(maxlen=KEPT)

    @asynccontextmanager
    async def listen(
        self, *, port: int, host: str = HOST, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[ListeningServer]:
        """Serve on this port of the address ``host``; port 0 takes any free port."""
        async with serve(
            self._run_session,
            host,
            port,
            ssl=tls,
            process_request=self._routes.respond,
            compression=None,
            max_size=self._faults.max_size(_MAX_SIZE),
            ping_interval=_PING,
            ping_timeout=_PING,
            create_connection=self._faults.connection_class(ServerConnection),
        ) as server:
            yield server

    async def drain(self, server: ListeningServer) -> None:
        """Accept no more connections; let open utterances finish, and end all sessions.

        ``server`` is the result of `listen`.
        """
        server.server.close()
        drain = self._faults.drain(Drain())
        async with asyncio.TaskGroup() as tasks:
            for session in self._sessions:
                tasks.create_task(session.drain(drain))

    def traces(self) -> tuple[Trace, ...]:
        """Return the traces of the latest sessions, the latest last."""
        return tuple(recorder.freeze() for recorder in self._recorders)

    async def _run_session(self, connection: ServerConnection) -> None:
        config, state = self._config, self._state
        recorder = Recorder(
            vantage=Vantage.SERVER,
            dialect=config.dialect.name,
            rate=config.dialect.rate,
            target="",
            redactor=Redactor([config.key]),
        )
        self._recorders.append(recorder)
        recorder.open()
        number = state.open_session()
        session = self._session(connection, recorder, number)
        self._sessions.add(session)
        try:
            await session.run(str(uuid.UUID(int=self._ids.getrandbits(128), version=4)))
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else None
            how = Ending.CLOSED_BY_PEER if error.rcvd else Ending.BROKEN
            recorder.end(how, code=code)
            if error.rcvd is not None:
                state.closed_mid_utterance += session.is_mid_utterance
            elif error.sent is None and not session.was_dropped:
                state.vanished += 1
                self._faults.client_vanished(mid_utterance=session.is_mid_utterance)
        finally:
            recorder.end(Ending.CLOSED_BY_US)
            self._sessions.discard(session)
            state.close_session(number)
            await session.close()

    def _session(
        self, connection: ServerConnection, recorder: Recorder, number: int
    ) -> FakeSession | ReplayedSession:
        """Return a new session with this number."""
        config, request = self._config, _request(connection)
        if isinstance(self._source, Recordings):
            return ReplayedSession(
                Replay(
                    self._source,
                    audio=request.headers.get(ANNOUNCED, ""),
                    timed=config.timing is Timing.RECORDED,
                ),
                connection,
                recorder,
                carrier=audio_frame(config.dialect.caller("", {}), b""),
                place=config.recordings,
            )
        side = self._server_side(request)
        refusal = self._faults.refused_request(
            config.dialect.refusal(request, config.models)
        )
        return FakeSession(
            config,
            self._source,
            side.server,
            connection,
            recorder,
            self._faults,
            self._state.workload,
            side.word_delay,
            number,
            add_word=side.add_word,
            refusal=refusal if isinstance(refusal, Reaction) else None,
        )

    def _server_side(self, request: Request) -> ServerSide:
        config = self._config
        server = config.dialect.server(
            config.models, limit=config.limit, request=request
        )
        add_word = _ignore
        if can(config.dialect, Capability.WORD_TIMES):
            timed = WordTimes(cast("TimedServer", server))
            server, add_word = timed, timed.add
        if config.variety is None:
            wrapped = self._faults.wrap(server)
            return ServerSide(wrapped, add_word, lambda: config.word_delay)
        typed = can(config.dialect, Capability.TYPED_EVENTS)
        varied = VariedServer(server, self._state, config.variety, typed=typed)
        return ServerSide(
            self._faults.wrap(varied),
            add_word,
            lambda: varied.delay(config.word_delay),
        )


@dataclass(frozen=True, slots=True)
class ServerSide:
    """The server's side of a session, with two functions for its utterances.

    ``add_word`` takes the times of each recognised word. ``word_delay`` returns the
    delay of the next word in seconds.
    """

    server: Server
    add_word: Callable[[WordTime, int], None]
    word_delay: Callable[[], float]


def _ignore(word: WordTime, item: int) -> None:
    """Ignore the times of a word, in a protocol that has no word times."""


def _request(connection: ServerConnection) -> Request:
    """Return the client's request that opened a connection."""
    asked = connection.request
    assert asked is not None
    return Request.of(asked.path, dict(asked.headers.raw_items()))
