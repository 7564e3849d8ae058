"""The servers of a run: how each is reached, which dialect it speaks, its warm-up.

Each server is asked once in a run. Where several xdist workers share a folder, the
first that asks leaves the answer there for the others.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.client import probe, target
from pytest_realtime_asr.client.dialect_detection import AUTO, Discovery, find, ways
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Limits, Live, Plan, caller
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.corpus import Corpus, CorpusError, Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.metrics.causality import PREMATURE
from pytest_realtime_asr.requirements.known_failures import softened
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.run.config import MeasurementConfig
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.run.transcription import run_utterance
from pytest_realtime_asr.run.turns import Turns
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.records import Ending

WARMUPS = 5  # sessions at most
WARMUP_TIME = 300.0  # s in all
LONG_WARMUP = 5.0  # s after which it is noted
AGREEMENT = 0.25  # two finals that differ by less are warm
SAME_MS = 20.0  # and so are two that differ by less than this
_TROUBLE = (Ending.REFUSED, Ending.BROKEN, Ending.CLOSED_BY_PEER, Ending.DEADLINE)


def ignore(text: str) -> None:
    """Report a text to nobody."""


@dataclass(frozen=True, slots=True)
class Host:
    """A server that was asked and warmed up; ``cold`` is its first final in ms.

    ``version`` is the one it reports or the user names, empty for neither.
    """

    access: Access
    model: str
    version: str = ""
    cold: float | None = None
    note: str = ""


class _Answer(msgspec.Struct):
    """What one worker learnt about a server, for the others."""

    lost: str = ""
    model: str = ""
    version: str = ""
    cold: float | None = None
    note: str = ""


class Servers:
    """Asks and warms up the servers of a run.

    ``warm`` returns the corpus of the warm-up, ``loop`` the event loop of its sessions.
    ``discovered`` are the dialects that were detected, by target.
    """

    def __init__(
        self,
        config: MeasurementConfig,
        warm: Callable[[], Corpus],
        *,
        loop: Callable[[], Loop],
        turns: Turns,
        shared: Path | None,
        tell: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self.redactor = config.redactor
        self.discovered: dict[str, Discovery] = {}
        self.last_host: Host | None = None
        self._config = config
        self._warm = warm
        self._loop = loop
        self._turns = turns
        self._shared = shared
        self._tell = tell
        self._warn = warn
        self._hosts: dict[str, Host | Unreachable] = {}
        # By URL: the test and the time at which a session met with trouble.
        self._suspects: dict[str, tuple[str, datetime]] = {}
        self._abandoned: set[str] = set()  # baselines that are not waited for again

    def host(
        self, text: str, dialect: Dialect, model: str, *, baseline: bool = False
    ) -> Host:
        """Return the server of a target, which is asked and warmed up once in a run.

        Raises `Unreachable`; a server that was unreachable is not asked again. If a
        ``baseline`` is lost later, the run warns and goes on: the tests of the target
        continue, and the sessions of the baseline are lost.
        """
        name = _key(text, dialect.name, model)
        with self._turns.alone():
            known = self._recall(name, text, dialect) or self._hosts.get(name)
            if known is None:
                known = self._find(text, dialect, model)
            elif isinstance(known, Host) and name not in self._abandoned:
                recovered = self._recover(known)
                if baseline and isinstance(recovered, Unreachable):
                    self._warn(f"realtime baseline target: {recovered}")
                    self._abandoned.add(name)
                else:
                    known = recovered
            self._tell("")
            self._hosts[name] = known
            self._remember(name, known)
        if isinstance(known, Unreachable):
            raise known
        return known

    def find(self, text: str) -> Discovery:
        """Detect the dialect of a target by its first message, once in a run.

        Raises `Unreachable`, which says what came first and what to do.
        """
        with self._turns.alone():
            found = self.discovered.get(text) or self._recall_discovery(text)
            if found is None:
                self._tell("asking the server which protocol it speaks")
                found = self._ask_first(text)
                self._tell("")
            self.discovered[text] = found
            if self._shared is not None:
                path = self._shared / _key(text, AUTO)
                path.write_bytes(msgspec.json.encode(found))
        if found.lost:
            raise Unreachable(found.lost)
        return found

    def dialect(self, text: str, name: str) -> tuple[Dialect, str]:
        """Return the dialect of a target, and how it was detected.

        The latter is empty if the dialect is named.

        Raises `Unreachable`, and LookupError where it is unknown.
        """
        if name != AUTO:
            return dialects.load(name), ""
        found = self.find(text)
        return dialects.load(found.dialect), f"auto: {found.reason}"

    def ask(self, text: str, dialect: Dialect) -> tuple[str, str]:
        """Return the URL and the model of a target, without a warm-up.

        Raises `Unreachable`.
        """
        access = self._access(text, dialect)
        probe.health(access)
        model = self._config.session.model or probe.first_model(access)
        return access.target.shown, model

    def plan(
        self,
        text: str,
        terms: Terms,
        options: Mapping[str, object],
        *,
        baseline: bool = False,
    ) -> Plan:
        """Return how the sessions of a test with this target run.

        ``baseline`` is as in `host`.

        Raises `Unreachable`, `OptionsError`, and LookupError where the dialect is
        unknown.
        """
        dialect, found = self.dialect(text, terms.dialect)
        for each in (options, self._config.session.options):
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

    def rules(
        self, dialect: Dialect, version: str, model: str
    ) -> tuple[Requirement, ...]:
        """Return the requirements by which a server of this version is judged.

        Known failures among them fail no test.
        """
        config = self._config
        found = dialect.requirements
        if config.pinned is not None:
            found = config.pinned.select(found)
        binding = [each for each in found if each.applies_to(version)]
        return softened(binding, config.known, version=version, model=model)

    def note_trouble(self, test: str, sessions: Iterable[Live]) -> None:
        """Note the servers whose sessions failed in a test, to ask them again."""
        for live in sessions:
            if live.trace.end.how in _TROUBLE:
                url = live.plan.access.target.websocket
                self._suspects[url] = test, datetime.now(UTC)
            if live.misfit:
                self._refuse(live)

    def _ask_first(self, text: str) -> Discovery:
        """Detect the dialect of a server that may still be loading."""
        model = self._config.session.model
        asked = ways(lambda dialect: self._access(text, dialect, model))
        try:
            probe.health(asked[0], wait=self._config.server.wait, progress=self._tell)
        except Unreachable as error:
            return Discovery(lost=str(error))
        return self._loop().run(find(asked, self.redactor))

    def _recall_discovery(self, text: str) -> Discovery | None:
        if self._shared is None:
            return None
        path = self._shared / _key(text, AUTO)
        if not path.exists():
            return None
        return msgspec.json.decode(path.read_bytes(), type=Discovery)

    def _refuse(self, live: Live) -> None:
        """Treat a server that speaks another dialect as unreachable."""
        for name, known in self._hosts.items():
            if isinstance(known, Host) and known.access is live.plan.access:
                self._hosts[name] = Unreachable(live.misfit)
                self._remember(name, self._hosts[name])

    def _find(self, text: str, dialect: Dialect, model: str) -> Host | Unreachable:
        """Ask and warm up a server; returns the error if it is unreachable."""
        try:
            access = self._access(text, dialect)
            probe.health(access, wait=self._config.server.wait, progress=self._tell)
            model = model or probe.first_model(access)
            host = Host(
                self._access(text, dialect, model),
                model,
                self._config.server.version or probe.version(access),
            )
            return self._warm_up(host, dialect)
        except Unreachable as error:
            return error

    def _access(self, text: str, dialect: Dialect, model: str = "") -> Access:
        server = self._config.server
        where = target.parse(text, path=dialect.path, query=dialect.query(model))
        self.redactor = self.redactor.also(where.secrets)
        headers = dict(server.headers)
        own = {name.lower() for name in headers}
        for name, value in dialect.headers(server.key).items():
            if name.lower() not in own:
                headers[name] = value
        return Access(
            where,
            headers=headers,
            tls=server.tls.context() if where.secure else None,
            server_name=server.tls.server_name,
            proxy=None if where.loopback else server.proxy or True,
            max_message=server.max_message,
        )

    def _recover(self, host: Host) -> Host | Unreachable:
        """Ask a server whose sessions failed in a test whether it is still there."""
        suspect = self._suspects.pop(host.access.target.websocket, None)
        if suspect is None:
            return host
        test, when = suspect
        try:
            probe.health(
                host.access, wait=self._config.server.recover, progress=self._tell
            )
        except Unreachable as error:
            return Unreachable(
                f"the server was lost at {when:%H:%M:%S} UTC in {test}: {error}"
            )
        return host

    def _warm_up(self, host: Host, dialect: Dialect) -> Host:
        """Run sessions whose times do not count, until the server is warm.

        Raises `Unreachable` if the server refuses a session. Another failure is noted
        in the result, and left to the tests.
        """
        session, most = self._config.session, self._config.server.warmup
        until_warm, most = most is None, WARMUPS if most is None else most
        if not most:
            return host
        try:
            clip = self._shortest()
        except (AudioError, CorpusError) as error:
            return replace(host, note=f"no warm-up: {error}")
        begun = time.monotonic()
        finals: list[float] = []
        for number in range(1, most + 1):
            self._tell(f"warming up the server, session {number} with {clip.id}")
            left = WARMUP_TIME - (time.monotonic() - begun)
            if left <= 0:
                break
            plan = Plan(
                dialect=dialect,
                access=host.access,
                model=host.model,
                options=session.options,
                pace=session.pace,
                chunk=session.chunk,
                limits=self._limits(most=left),
                redactor=self.redactor,
            )
            live = Live(self._loop(), plan)
            take = self._loop().run(run_utterance(live, clip))
            end = take.trace.end
            if end.how is Ending.REFUSED:
                raise Unreachable(end.reason, status=end.code)
            if live.misfit:
                raise Unreachable(live.misfit)
            # Where the server detects turns, there is no commit.
            for name in ("final_from_commit", "final_from_speech_end"):
                if (final := take.metrics[name]) is not None:
                    break
            if final is None or name in take.premature:
                early = take.premature.get(name)
                why = take.reason if early is None else PREMATURE[early]
                return replace(host, note=f"the warm-up failed: {why}")
            finals.append(final)
            if until_warm and len(finals) > 1 and _agree(*finals[-2:]):
                break
        took = time.monotonic() - begun
        note = ""
        if took > LONG_WARMUP:
            sessions = several(len(finals), "session")
            note = f"the warm-up took {took:.0f} s: {sessions} with {clip.id}"
        return replace(host, cold=finals[0] if finals else None, note=note)

    def _shortest(self) -> Utterance:
        """Return the shortest utterance with a text. Raises AudioError, CorpusError."""
        spoken = [utterance for utterance in self._warm() if utterance.text]
        if not spoken:
            raise CorpusError("no utterance of the corpus has a text")
        found = min(spoken, key=lambda utterance: utterance.duration)
        return replace(found, source=found.audio)

    def _limits(self, *, most: float = math.inf) -> Limits:
        """Return the time limits of a session, each at most ``most`` seconds."""
        timeout = self._config.session.timeout
        return Limits(
            silence=min(timeout, most),
            beyond=min(max(60.0, 2 * timeout), most),
        )

    def _remember(self, name: str, known: Host | Unreachable) -> None:
        """Leave an answer for the other workers."""
        if self._shared is None:
            return
        if isinstance(known, Host):
            row = _Answer(
                model=known.model,
                version=known.version,
                cold=known.cold,
                note=known.note,
            )
        else:
            row = _Answer(lost=str(known))
        (self._shared / name).write_bytes(msgspec.json.encode(row))

    def _recall(
        self, name: str, text: str, dialect: Dialect
    ) -> Host | Unreachable | None:
        if self._shared is None or not (self._shared / name).exists():
            return None
        row = msgspec.json.decode((self._shared / name).read_bytes(), type=_Answer)
        if row.lost:
            return Unreachable(row.lost)
        access = self._access(text, dialect, row.model)
        return Host(access, row.model, row.version, row.cold, row.note)


def _key(*words: str) -> str:
    """Return the name of a file for these words."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _agree(one: float, other: float) -> bool:
    apart = abs(one - other)
    return apart <= SAME_MS or apart <= AGREEMENT * max(one, other)
