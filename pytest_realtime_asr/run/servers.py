"""One test run in one process: its servers, its loop, and whose session is whose."""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import msgspec
from filelock import FileLock

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio, AudioError
from pytest_realtime_asr.client import probe, target
from pytest_realtime_asr.client.dialect_detection import Discovery, find, ways
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Limits, Live, Plan, caller
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.corpus import Corpus, CorpusError, Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.metrics.causality import PREMATURE
from pytest_realtime_asr.plugin.options import AUTO
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.requirements.known_failures import softened
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.run.ledger import CUT_OFF, Ledger
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.run.transcription import Transcription, transcribe
from pytest_realtime_asr.text.messages import error_text
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.records import Ending
from pytest_realtime_asr.verdicts.comparison import Conditions

WARMUPS = 5  # sessions at most
WARMUP_TIME = 300.0  # s in all
LONG_WARMUP = 5.0  # s after which it is noted
AGREEMENT = 0.25  # two finals that differ by less are warm
SAME_MS = 20.0  # and so are two that differ by less than this
_TROUBLE = (Ending.REFUSED, Ending.BROKEN, Ending.CLOSED_BY_PEER, Ending.DEADLINE)


@dataclass(frozen=True, slots=True)
class Host:
    """A server that was asked and warmed up; ``cold`` is its first final in ms.

    ``version`` is what it says of itself or what the user said, empty for neither.
    """

    access: Access
    model: str
    version: str = ""
    cold: float | None = None
    note: str = ""


class _Known(msgspec.Struct):
    """What one worker found out of a server, for the others."""

    lost: str = ""
    model: str = ""
    version: str = ""
    cold: float | None = None
    note: str = ""


class Run:
    """The state of a test run in this process.

    ``warm`` gives the corpus of the warm-up. ``shared`` is a folder that all workers of
    the run see, or ``None`` where there is but one process; then the sessions of the
    workers take turns, unless the settings let them overlap. ``sinks`` are called with
    the test and the utterance as soon as it ended; ``tell`` shows progress to a person
    who waits, and clears it when it is called with an empty text. ``warn`` is called
    with what the user should know at the end, in one line. ``discovered`` are those of
    targets whose dialect was to be found.
    """

    def __init__(
        self, settings: Settings, warm: Callable[[], Corpus], *, shared: Path | None
    ) -> None:
        self.settings = settings
        self.redactor = settings.redactor
        self._warm = warm
        self._shared = shared
        self.sinks: list[Callable[[str, Transcription], None]] = []
        self.last_host: Host | None = None
        self.tell: Callable[[str], None] = _whisper
        self.warn: Callable[[str], None] = _whisper
        self._loop: Loop | None = None
        self._ledger: Ledger | None = None
        self.discovered: dict[str, Discovery] = {}
        self._hosts: dict[str, Host | Unreachable] = {}
        # By URL: in which test and when a session with this server met with trouble.
        self._suspects: dict[str, tuple[str, datetime]] = {}
        self._abandoned: set[str] = set()  # baselines that are not waited for again
        self._taking = threading.Lock()
        self._occupied = threading.Lock()
        self._turn: FileLock | None = None
        if shared is not None and not settings.parallel:
            self._turn = FileLock(shared / "turn.lock", thread_local=False)

    @property
    def shared(self) -> bool:
        """Whether several workers share the server."""
        return self._shared is not None

    @property
    def loop(self) -> Loop:
        """The loop of the sessions, started when it is first asked for."""
        if self._loop is None:
            self._loop = Loop()
        return self._loop

    def host(
        self, text: str, dialect: Dialect, model: str, *, baseline: bool = False
    ) -> Host:
        """The server that a target names, asked and warmed up once in a run.

        Raises `Unreachable`; a server that was found dead is not asked again. A
        ``baseline`` that is lost later is warned of and kept: the tests of the target
        go on, and its sessions are lost ones.
        """
        name = _key(text, dialect.name, model)
        with self._alone():
            known = self._recall(name, text, dialect) or self._hosts.get(name)
            if known is None:
                known = self._find(text, dialect, model)
            elif isinstance(known, Host) and name not in self._abandoned:
                recovered = self._recover(known)
                if baseline and isinstance(recovered, Unreachable):
                    self.warn(f"realtime baseline target: {recovered}")
                    self._abandoned.add(name)
                else:
                    known = recovered
            self.tell("")
            self._hosts[name] = known
            self._remember(name, known)
        if isinstance(known, Unreachable):
            raise known
        return known

    def find(self, text: str) -> Discovery:
        """The dialect of a target by what it says first; asked once in a run.

        Raises `Unreachable`, which says what came first and what to do.
        """
        with self._alone():
            found = self.discovered.get(text) or self._recall_discovery(text)
            if found is None:
                self.tell("asking the server which protocol it speaks")
                found = self._ask_first(text)
                self.tell("")
            self.discovered[text] = found
            if self._shared is not None:
                path = self._shared / _key(text, AUTO)
                path.write_bytes(msgspec.json.encode(found))
        if found.lost:
            raise Unreachable(found.lost)
        return found

    def dialect(self, text: str, name: str) -> tuple[Dialect, str]:
        """The dialect of a target, and how it was found; empty where it is named.

        Raises `Unreachable`, and LookupError where it is unknown.
        """
        if name != AUTO:
            return dialects.load(name), ""
        found = self.find(text)
        return dialects.load(found.dialect), f"auto: {found.reason}"

    def ask(self, text: str, dialect: Dialect) -> tuple[str, str]:
        """URL and model of a target, for those who only want to know them.

        Raises `Unreachable`.
        """
        access = self._access(text, dialect)
        probe.health(access)
        model = self.settings.model or probe.first_model(access)
        return access.target.shown, model

    def plan(
        self,
        text: str,
        terms: Terms,
        options: Mapping[str, object],
        *,
        baseline: bool = False,
    ) -> Plan:
        """How the sessions of a test with this target are held; ``baseline`` as `host`.

        Raises `Unreachable`, `OptionsError`, and LookupError where the dialect is
        unknown.
        """
        dialect, found = self.dialect(text, terms.dialect)
        for each in (options, self.settings.session_options):
            caller(dialect, terms.model, each)
        self.last_host = host = self.host(text, dialect, terms.model, baseline=baseline)
        return Plan(
            dialect=dialect,
            access=host.access,
            model=host.model,
            options=options,
            pace=terms.pace,
            chunk=terms.chunk,
            limits=self._limits(),
            redactor=self.redactor,
            rules=self.rules(dialect, host.version, host.model),
            version=host.version,
            found=found,
        )

    def conditions(self, plan: Plan, *, concurrency: int = 1) -> Conditions:
        """How an utterance of this plan is spoken, for who compares it later."""
        return Conditions(
            corpus=self._digest,
            pace=plan.pace,
            chunk=plan.chunk,
            concurrency=concurrency,
            model=plan.model,
            labels=self.settings.labels,
        )

    @cached_property
    def _digest(self) -> str:
        return self._warm().digest

    def rules(
        self, dialect: Dialect, version: str, model: str
    ) -> tuple[Requirement, ...]:
        """The requirements by which a server of this version is judged.

        Those that it is known to break blame nobody.
        """
        settings = self.settings
        found = dialect.requirements
        if settings.suite is not None:
            found = settings.suite.select(found)
        held = [requirement for requirement in found if requirement.applies_to(version)]
        return softened(held, settings.known, version=version, model=model)

    def begin(self, test: str) -> None:
        """From now on, sessions belong to this test."""
        self._ledger = Ledger(test)

    @property
    def ledger(self) -> Ledger:
        """That of the running test. Raises RuntimeError between the tests."""
        if self._ledger is None:
            raise RuntimeError("a realtime session can only be held while a test runs")
        return self._ledger

    def take_turn(self, ledger: Ledger) -> None:
        """Wait until no other worker measures; the end of the test gives it back.

        Called before a session is opened, and not on the loop, which it would block.
        """
        with self._occupied:
            pass  # the conformance suite speaks beside the tests
        if self._turn is None:
            return
        with self._taking:
            if ledger.locked:
                return
            self._turn.acquire()
            ledger.locked = True
            if ledger.closed:  # while it waited
                self._turn.release()
                ledger.locked = False

    def occupy(self) -> None:
        """Let no test measure until `vacate`; waits for who occupies it now."""
        self._occupied.acquire()

    def vacate(self) -> None:
        """Let tests measure again; may be called from any thread."""
        self._occupied.release()

    def session(self, ledger: Ledger, plan: Plan) -> Live:
        """A new session of a test. Raises `Ended` once the test has ended."""
        __tracebackhide__ = True
        ledger.refuse_closed()
        live = Live(self.loop, plan, pings=True)
        ledger.sessions.append(live)
        return live

    def ended(self, ledger: Ledger, place: int, take: Transcription) -> None:
        """Note what became of an utterance; it is reported at once.

        A report that cannot be written affects neither the other reports nor the test.
        """
        ledger.end(place, take)
        for sink in self.sinks:
            try:
                sink(ledger.test, take)
            except Exception as error:
                why = error_text(error, private=self.redactor.private)
                self.warn(f"{sink}: {why}; utterances are missing in it")

    def finish(self) -> Ledger | None:
        """Close what the running test has open, and give its ledger, once."""
        ledger, self._ledger = self._ledger, None
        if ledger is None:
            return None
        ledger.closed = True
        try:
            if ledger.sessions:
                self.loop.run(_close(ledger.sessions))
            for place in sorted(ledger.open):
                self.ended(ledger, place, ledger.open[place].ended(CUT_OFF))
            for live in ledger.sessions:
                if live.trace.end.how in _TROUBLE:
                    url = live.plan.access.target.websocket
                    self._suspects[url] = ledger.test, datetime.now(UTC)
                if live.misfit:
                    self._condemn(live)
        finally:
            if ledger.locked and self._turn is not None:
                self._turn.release()
        return ledger

    def stop(self) -> None:
        """End the loop."""
        self.finish()
        if self._loop is not None:
            self._loop.stop()
            self._loop = None

    def _ask_first(self, text: str) -> Discovery:
        settings = self.settings
        asked = ways(lambda dialect: self._access(text, dialect, settings.model))
        try:
            probe.health(asked[0], wait=settings.wait, tell=self.tell)
        except Unreachable as error:
            return Discovery(lost=str(error))
        return self.loop.run(find(asked, self.redactor))

    def _recall_discovery(self, text: str) -> Discovery | None:
        if self._shared is None:
            return None
        path = self._shared / _key(text, AUTO)
        if not path.exists():
            return None
        return msgspec.json.decode(path.read_bytes(), type=Discovery)

    def _condemn(self, live: Live) -> None:
        """Tell at once whoever asks again for a server that speaks another dialect."""
        for name, known in self._hosts.items():
            if isinstance(known, Host) and known.access is live.plan.access:
                self._hosts[name] = Unreachable(live.misfit)
                self._remember(name, self._hosts[name])

    def _find(self, text: str, dialect: Dialect, model: str) -> Host | Unreachable:
        try:
            access = self._access(text, dialect)
            probe.health(access, wait=self.settings.wait, tell=self.tell)
            model = model or probe.first_model(access)
            host = Host(
                self._access(text, dialect, model),
                model,
                self.settings.server_version or probe.version(access),
            )
            return self._warm_up(host, dialect)
        except Unreachable as error:
            return error

    def _access(self, text: str, dialect: Dialect, model: str = "") -> Access:
        settings = self.settings
        where = target.parse(text, path=dialect.path, query=dialect.query(model))
        self.redactor = self.redactor.also(where.secrets)
        headers = dict(settings.headers)
        own = {name.lower() for name in headers}
        for name, value in dialect.headers(settings.key).items():
            if name.lower() not in own:
                headers[name] = value
        return Access(
            where,
            headers=headers,
            tls=settings.tls() if where.secure else None,
            server_name=settings.server_name,
            proxy=None if where.loopback else settings.proxy or True,
            max_message=settings.max_message,
        )

    def _recover(self, host: Host) -> Host | Unreachable:
        """Ask a server that failed a test whether it is still there."""
        suspect = self._suspects.pop(host.access.target.websocket, None)
        if suspect is None:
            return host
        test, when = suspect
        try:
            probe.health(host.access, wait=self.settings.recover, tell=self.tell)
        except Unreachable as error:
            return Unreachable(
                f"the server was lost at {when:%H:%M:%S} UTC in {test}: {error}"
            )
        return host

    def _warm_up(self, host: Host, dialect: Dialect) -> Host:
        """Hold sessions whose times count nowhere, until the server is warm.

        A server that refuses the session is `Unreachable`; one that fails it otherwise
        is left to the tests, and the failure noted.
        """
        settings = self.settings
        most = WARMUPS if settings.warmup is None else settings.warmup
        if not most:
            return host
        try:
            clip = self._shortest()
        except (AudioError, CorpusError) as error:
            return replace(host, note=f"no warm-up: {error}")
        begun = time.monotonic()
        finals: list[float] = []
        for number in range(1, most + 1):
            self.tell(f"warming the server up, session {number} with {clip.id}")
            left = WARMUP_TIME - (time.monotonic() - begun)
            if left <= 0:
                break
            plan = Plan(
                dialect=dialect,
                access=host.access,
                model=host.model,
                options=settings.session_options,
                pace=settings.pace,
                chunk=settings.chunk,
                limits=self._limits(most=left),
                redactor=self.redactor,
            )
            live = Live(self.loop, plan)
            said = self.loop.run(transcribe(live, clip))
            end = said.trace.end
            if end.how is Ending.REFUSED:
                raise Unreachable(end.reason, status=end.code)
            if live.misfit:
                raise Unreachable(live.misfit)
            # Where the server detects turns, there is no commit.
            for name in ("final_from_commit", "final_from_speech_end"):
                if (final := said.metrics[name]) is not None:
                    break
            if final is None or name in said.premature:
                early = said.premature.get(name)
                why = said.reason if early is None else PREMATURE[early]
                return replace(host, note=f"the warm-up failed: {why}")
            finals.append(final)
            if settings.warmup is None and len(finals) > 1 and _agree(*finals[-2:]):
                break
        took = time.monotonic() - begun
        note = ""
        if took > LONG_WARMUP:
            sessions = several(len(finals), "session")
            note = f"the warm-up took {took:.0f} s: {sessions} with {clip.id}"
        return replace(host, cold=finals[0] if finals else None, note=note)

    def _shortest(self) -> Utterance:
        """The shortest utterance with a text. Raises AudioError and CorpusError."""
        spoken = [utterance for utterance in self._warm() if utterance.text]
        if not spoken:
            raise CorpusError("no utterance of the corpus has a text")
        found = min(spoken, key=lambda utterance: utterance.duration)
        return replace(found, source=found.audio)

    def _limits(self, *, most: float = math.inf) -> Limits:
        """The time limits of a session, each of which is at most ``most`` s."""
        timeout = self.settings.timeout
        return Limits(
            silence=min(timeout, most),
            beyond=min(max(60.0, 2 * timeout), most),
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other workers from asking, and from measuring, at the same time."""
        if self._shared is None:
            yield
            return
        with FileLock(self._shared / "host.lock"):
            if self._turn is None:
                yield
                return
            with self._turn:
                yield

    def _remember(self, name: str, known: Host | Unreachable) -> None:
        if self._shared is None:
            return
        if isinstance(known, Host):
            row = _Known(
                model=known.model,
                version=known.version,
                cold=known.cold,
                note=known.note,
            )
        else:
            row = _Known(lost=str(known))
        (self._shared / name).write_bytes(msgspec.json.encode(row))

    def _recall(
        self, name: str, text: str, dialect: Dialect
    ) -> Host | Unreachable | None:
        if self._shared is None or not (self._shared / name).exists():
            return None
        row = msgspec.json.decode((self._shared / name).read_bytes(), type=_Known)
        if row.lost:
            return Unreachable(row.lost)
        access = self._access(text, dialect, row.model)
        return Host(access, row.model, row.version, row.cold, row.note)


def _key(*words: str) -> str:
    """The name of a file about these."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


async def _close(sessions: list[Live]) -> None:
    await asyncio.gather(*(live.close() for live in sessions))


def _whisper(text: str) -> None:
    """Tells nobody."""


def _agree(one: float, other: float) -> bool:
    apart = abs(one - other)
    return apart <= SAME_MS or apart <= AGREEMENT * max(one, other)
