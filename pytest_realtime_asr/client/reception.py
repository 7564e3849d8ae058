"""The receiving side of a session.

The frames of the server are recorded as they arrive. They are parsed only when their
meaning is needed: while audio is sent, a frame costs only a time stamp and a record.
"""

from __future__ import annotations

import asyncio
import threading

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.inbox import Inbox
from pytest_realtime_asr.client.loss import ending
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transport import FRAMES_PER_TURN, Closed, Wire
from pytest_realtime_asr.text.privacy import public
from pytest_realtime_asr.trace.recorder import Recorder
from pytest_realtime_asr.trace.records import Ending, Record, Sender
from pytest_realtime_asr.trace.timeline import Refusal

_PORTION = 32  # frames that are read at once; more would delay other sessions
_MOST_UNREAD = 256  # recorded frames that the inbox has not read, at most


class Reception:
    """Records what the server sends, and parses it when asked.

    ``turn`` is a lock that all sessions of an event loop share; a session parses frames
    only while it has the lock. ``misfit`` says which other dialect the server speaks;
    it is "" if none was detected. ``failure`` is the exception in the client itself
    that ended the session; it is ``None`` if there was no such exception. ``deaf`` says
    that the client no longer receives, so that the end of the session counts as an end
    by the client. ``seconds`` is the length of the audio that was sent. ``changed`` is
    set by each frame of the server, and by the end of the session.
    """

    def __init__(self, plan: Plan, recorder: Recorder, turn: asyncio.Lock) -> None:
        self.misfit = ""
        self.failure: Exception | None = None
        self.deaf = False
        self.seconds = 0.0
        self.changed = asyncio.Event()
        self._plan = plan
        self._recorder = recorder
        self._turn = turn
        self._inbox = Inbox(plan.dialect)
        self._updating = threading.Lock()  # held while the inbox gets records
        self._frames = 0  # of the server
        self._wire: Wire | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, wire: Wire) -> None:
        """Begin to record what arrives on a new connection."""
        self._wire = wire
        wire.listen(self._hear)
        self._task = asyncio.create_task(self._read(wire))

    async def end(self) -> None:
        """Wait until the connection has ended and all of its frames are recorded."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._wire = None

    @property
    def inbox(self) -> Inbox:
        """The inbox; it has parsed all frames that were recorded so far.

        May be used from any thread.
        """
        if self._unread and self.failure is None:
            self._update(self._unread)
        return self._inbox

    async def read(self) -> None:
        """Let the inbox parse recorded frames in small portions, until few are left.

        Only one session of the event loop parses at a time. Otherwise, many sessions
        that end together would delay the audio of the other sessions.
        """
        if self._unread <= _PORTION:
            return
        async with self._turn:
            while self._unread > _PORTION and self.failure is None:
                self._update(_PORTION)
                await asyncio.sleep(0)

    def closed(self, error: Closed) -> None:
        """Record that the connection is closed."""
        how = Ending.CLOSED_BY_US if self.deaf else ending(error)
        reason = f"{error.reason}; {self.summary}" if error.too_large else error.reason
        self._recorder.end(how, code=error.code, reason=reason)

    @property
    def summary(self) -> str:
        """A text that says what the server has sent, and its first unexpected error."""
        received = 0 if self._wire is None else self._wire.received
        if received and not self.inbox.received:
            return f"{received} bytes were received, but no complete event"
        inbox = self.inbox
        refusal = inbox.refusal
        error = "" if refusal is None else f"; the first error: {self.quoted(refusal)}"
        return inbox.summary + error

    def quoted(self, refusal: Refusal) -> str:
        """Return a refusal as messages quote it; a private run shows its code alone."""
        if self._plan.redactor.private:
            return f"({public(refusal.code)})"
        return str(refusal)

    @property
    def _unread(self) -> int:
        """The number of recorded frames that the inbox has not parsed."""
        return self._recorder.count - self._inbox.count

    def _update(self, most: int) -> None:
        """Let the inbox parse at most ``most`` more frames.

        If the code of the dialect raises an exception, the session is over; see
        `failure`.
        """
        try:
            with self._updating:
                for record in self._recorder.since(self._inbox.count, most):
                    self._inbox.add(record)
        except Exception as error:
            self._fail(error)

    def _hear(self, frame: str | bytes) -> None:
        """Record a frame of the server; `_examine` may then end the session."""
        at = self._recorder.now()
        record = self._recorder.received(Sender.SERVER, at, frame)
        self._frames += 1
        try:
            self._examine(record, frame)
        except Exception as error:  # such as a dialect's
            self._fail(error)
        if self._recorder.ended is not None and self._wire is not None:
            self._wire.listen(None)
        self.changed.set()

    def _examine(self, record: Record, frame: str | bytes) -> None:
        """End the session if the server speaks another dialect or floods the client."""
        if self._frames == 1 and (others := self._inbox.other_dialects(record)):
            self._refuse_dialect(record, others)
            return
        most = self._plan.access.max_message
        if flood := self._inbox.flood(frame, self.seconds, most=most):
            self._cut(Ending.LIMIT, f"{flood}; {self.summary}")
        elif self._unread > _MOST_UNREAD:
            self._update(_PORTION)

    async def _read(self, wire: Wire) -> None:
        """Receive and record the frames that the wire does not pass to `_hear`."""
        try:
            while self._recorder.ended is None:
                self._hear(await wire.receive())
                if self._frames % FRAMES_PER_TURN == 0:
                    await asyncio.sleep(0)
        except Closed as error:
            self.closed(error)
        except Exception as error:
            self._fail(error)
        finally:
            self.changed.set()

    def _refuse_dialect(self, greeting: Record, names: tuple[str, ...]) -> None:
        """End the session, since the server speaks another dialect.

        ``names`` are the dialects that begin with the event ``greeting``.
        """
        said = dialects.load(names[0]).parse(greeting).move
        self.misfit = (
            f"{self._plan.access.target.shown} does not speak "
            f"{self._plan.dialect.name}: the first event was {said}, which is the "
            f"first event of {' or '.join(names)}; use --realtime-dialect={names[0]}"
        )
        self._cut(Ending.CLOSED_BY_US, self.misfit)

    def _cut(self, how: Ending, reason: str) -> None:
        self._recorder.end(how, reason=reason)
        if self._wire is not None:
            self._wire.abort()

    def _fail(self, error: Exception) -> None:
        """End the session because of a failure of the client itself."""
        self.failure = error
        reason = f"the client failed to process a frame: {error!r}"
        self._recorder.end(Ending.BROKEN, reason=reason)
