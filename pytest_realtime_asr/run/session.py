"""The sessions that a test opens by itself.

`Session` and `AsyncSession` are two views of a session, with the same methods. The
methods of `Session` block the test; the methods of `AsyncSession` are awaited. In both
cases the session itself runs on the event loop of the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType

from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client.further_utterance import (
    NoFurtherUtterance,
    refuse_further,
)
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import Begun, Transcription
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.run.blocking import awaited, block
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Ending, Trace
from pytest_realtime_asr.trace.timeline import Timeline


class _TestSession:
    """A session of a test; its coroutines run on the event loop of the run."""

    def __init__(self, run: Run, ledger: Ledger, plan: Plan) -> None:
        __tracebackhide__ = True
        self.run = run
        self.live = run.session(ledger, plan)
        self._ledger = ledger

    async def open(self, *, configure: bool) -> None:
        await asyncio.to_thread(self.run.take_turn, self._ledger)
        await self.live.open()
        if configure:
            await self.live.configure()

    async def transcribe(self, utterance: Utterance) -> Transcription:
        self._ledger.refuse_closed()
        # Nothing would be sent, so the utterance must not be counted as lost.
        refuse_further(self.live.plan.dialect, self.live.items)
        if not self.live.is_open and self.live.trace.end.how is Ending.CLOSED_BY_US:
            raise NoFurtherUtterance("the test has closed this session")
        audio = await self.live.audio(utterance)
        with self.run.account.reserved(audio.seconds, "1 utterance") as meter:
            # What is sent leaves the reservation, so that it does not count twice.
            self.live.plan = replace(self.live.plan, meter=meter)
            return await self._transcribe(utterance, audio)

    async def _transcribe(self, utterance: Utterance, audio: Audio) -> Transcription:
        begun = Begun(
            self.live,
            utterance.in_language(self.run.config.language),
            self.live.items,
            raised=True,
            conditions=self.run.conditions(self.live.plan, utterance),
        )
        place = self._ledger.begin(begun)
        lost: Lost | None = None
        try:
            await self.live.transcribe(audio, utterance.id)
        except Lost as error:
            lost = error
        take = await asyncio.to_thread(begun.ended, lost)
        await asyncio.to_thread(self.run.ended, self._ledger, place, take)
        return take


class _View:
    """The properties that `Session` and `AsyncSession` have in common."""

    def __init__(self, session: _TestSession) -> None:
        self._session = session

    @property
    def id(self) -> str:
        """The id that the server gave the session; "" before it gave an id."""
        return self._session.live.id

    @property
    def trace(self) -> Trace:
        """All frames that have been recorded so far."""
        return self._session.live.trace

    @property
    def timeline(self) -> Timeline:
        """The timeline of the frames that have been recorded so far."""
        return self._session.live.timeline

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The server's violations that have been found so far."""
        live = self._session.live
        return observe(live.plan.rules, Part("", live.recording))


class Session(_View):
    """A connected session whose methods block the test."""

    @property
    def aio(self) -> AsyncSession:
        """The same session, with methods that are awaited."""
        return AsyncSession(self._session)

    def configure(self) -> None:
        """Send the model and the session options, as `connect` does by default."""
        __tracebackhide__ = True
        block(self._session.run, self._session.live.configure())

    def transcribe(self, utterance: Utterance) -> Transcription:
        """Send an utterance at the pace of the test and return its transcription.

        Raises `Lost` if there is no final, or RuntimeError if the session is closed, or
        if its protocol allows only one utterance and it has had one.
        """
        __tracebackhide__ = True
        return final(block(self._session.run, self._session.transcribe(utterance)))

    def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a frame unchanged.

        A mapping is sent as JSON, a string as it is, and bytes as a binary frame.
        """
        __tracebackhide__ = True
        block(self._session.run, self._session.live.send_raw(message))

    def expect(self, type: str, *, timeout: float | None = None) -> Message:
        """Return the next event of this type, and wait for it if necessary.

        The search starts after the event that the last call of `expect` returned.
        ``timeout`` is in seconds; the default is the idle timeout of the run. Raises
        `Lost` if no such event comes.
        """
        __tracebackhide__ = True
        return block(
            self._session.run, self._session.live.expect(type, timeout=timeout)
        )

    def close(self) -> None:
        """Close the connection; this method may be called more than once."""
        __tracebackhide__ = True
        block(self._session.run, self._session.live.close())


class AsyncSession(_View):
    """A connected session whose methods are awaited, under asyncio."""

    async def configure(self) -> None:
        """Send the model and the session options, as `connect` does by default."""
        __tracebackhide__ = True
        await awaited(self._session.run, self._session.live.configure())

    async def transcribe(self, utterance: Utterance) -> Transcription:
        """Send an utterance at the pace of the test and return its transcription.

        Raises `Lost` if there is no final, or RuntimeError if the session is closed, or
        if its protocol allows only one utterance and it has had one.
        """
        __tracebackhide__ = True
        return final(
            await awaited(self._session.run, self._session.transcribe(utterance))
        )

    async def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a frame unchanged.

        A mapping is sent as JSON, a string as it is, and bytes as a binary frame.
        """
        __tracebackhide__ = True
        await awaited(self._session.run, self._session.live.send_raw(message))

    async def expect(self, type: str, *, timeout: float | None = None) -> Message:
        """Return the next event of this type, and wait for it if necessary.

        The search starts after the event that the last call of `expect` returned.
        ``timeout`` is in seconds; the default is the idle timeout of the run. Raises
        `Lost` if no such event comes.
        """
        __tracebackhide__ = True
        live = self._session.live
        return await awaited(self._session.run, live.expect(type, timeout=timeout))

    async def close(self) -> None:
        """Close the connection; this method may be called more than once."""
        __tracebackhide__ = True
        await awaited(self._session.run, self._session.live.close())


class Connect:
    """A context manager that opens a session and closes it.

    ``with`` returns a `Session`, and ``async with`` returns an `AsyncSession`.
    """

    def __init__(
        self, run: Run, ledger: Ledger, plan: Plan, *, configure: bool
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._plan = plan
        self._configure = configure
        self._session: _TestSession | None = None

    def open(self) -> Session:
        """Open the session and return it; it is closed at the end of the test.

        Raises `Lost` if the session cannot be opened.
        """
        __tracebackhide__ = True
        self._session = _TestSession(self._run, self._ledger, self._plan)
        block(self._run, self._session.open(configure=self._configure))
        return Session(self._session)

    def __enter__(self) -> Session:
        __tracebackhide__ = True
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._session is not None
        block(self._run, self._session.live.close())

    async def __aenter__(self) -> AsyncSession:
        __tracebackhide__ = True
        self._session = _TestSession(self._run, self._ledger, self._plan)
        await awaited(self._run, self._session.open(configure=self._configure))
        return AsyncSession(self._session)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await awaited(self._run, self._session.live.close())


def final(take: Transcription) -> Transcription:
    """Return the transcription if it has a final. Raises `Lost` if it has none."""
    __tracebackhide__ = True
    if take.lost:
        raise Lost(take.lost, take.reason)
    return take
