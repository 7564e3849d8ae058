"""The servers of a run: how each is reached, and which dialect it speaks.

Each server is probed once in a run. If several xdist workers share a folder, the first
worker that probes a server writes the result into this folder for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import probe, target
from pytest_realtime_asr.client.dialect_detection import AUTO, Discovery, find, ways
from pytest_realtime_asr.client.key_command import KeyCommand, KeyHeaders
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.meter import Meter
from pytest_realtime_asr.client.plan import Limits, Plan, caller
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.load.server_metrics import Source, is_installed, source
from pytest_realtime_asr.requirements.known_failures import softened
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.run import model_choice
from pytest_realtime_asr.run.config import MeasurementConfig, time_limits
from pytest_realtime_asr.run.model_choice import NoModel
from pytest_realtime_asr.run.recovery import Recovery
from pytest_realtime_asr.run.shared_answers import SharedAnswers
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.run.turns import Turns
from pytest_realtime_asr.run.warm_up import silence, warm_up
from pytest_realtime_asr.trace.records import End, Ending

_WRONG = (401, 403, 404)  # HTTP statuses of a wrong key and of a wrong path
_TROUBLE = (Ending.REFUSED, Ending.BROKEN, Ending.CLOSED_BY_PEER, Ending.DEADLINE)


def ignore(text: str) -> None:
    """Ignore a message; this is the default of functions that report messages."""


@dataclass(frozen=True, slots=True)
class Host:
    """A server that was probed and warmed up.

    ``version`` is named by the user or reported by the server, and otherwise empty.
    ``models`` are the models that the server lists; they are empty if the user named
    the model. ``cold`` is the latency of the warm-up's first final in ms. ``note``
    tells the user about the warm-up, and is empty if there is nothing to tell.
    ``failed`` says that the warm-up got no final. ``mute`` is a message if the server
    sent nothing in the warm-up, and otherwise empty.
    """

    access: Access
    model: str
    version: str = ""
    cold: float | None = None
    note: str = ""
    failed: bool = False
    models: tuple[str, ...] = ()
    mute: str = ""


class _Answer(msgspec.Struct):
    """The state of a server that one worker stores for the other workers.

    ``lost`` says why the server is unreachable, and is empty if it is reachable.
    """

    lost: str = ""
    model: str = ""
    version: str = ""
    cold: float | None = None
    note: str = ""
    failed: bool = False
    models: tuple[str, ...] = ()
    mute: str = ""


class Servers:
    """Probes and warms up the servers of a run.

    ``warm`` returns the corpus of the warm-up, and ``loop`` returns the event loop of
    the warm-up's sessions. ``discovered`` maps targets to the dialects that were
    detected. ``meter`` counts the audio of all sessions.
    """

    def __init__(
        self,
        config: MeasurementConfig,
        warm: Callable[[], Corpus],
        *,
        loop: Callable[[], Loop],
        turns: Turns,
        shared: Path | None,
        progress: Callable[[str], None],
        warn: Callable[[str], None],
        meter: Meter,
    ) -> None:
        self.redactor = config.redactor
        self.discovered: dict[str, Discovery] = {}
        self.last_host: Host | None = None
        self._config = config
        self._key_command: KeyCommand | None = None
        if config.server.key_command:
            words = config.server.key_command
            self._key_command = KeyCommand(words, self.redactor.learn)
        self._warm = warm
        self._loop = loop
        self._turns = turns
        self._answers = SharedAnswers(shared)
        self._progress = progress
        self._warn = warn
        self.recovery = Recovery(config.server.recover, progress)
        self._meter = meter
        self._hosts: dict[tuple[str, str, str], Host | Unreachable] = {}
        # By target and dialect: the chosen model, and all models of the server.
        self._models: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
        # By URL: the test in which a session failed, and the time.
        self._suspects: dict[str, tuple[str, datetime]] = {}
        self._served: set[str] = set()  # URLs at which a session was ready
        # Lost baselines, for which the run does not wait again.
        self._abandoned: set[tuple[str, str, str]] = set()

    def host(
        self, text: str, dialect: Dialect, model: str, *, baseline: bool = False
    ) -> Host:
        """Return the server of a target; it is probed and warmed up once in a run.

        Raises `Unreachable`; an unreachable server is not probed again. If a
        ``baseline`` becomes unreachable later, the user is warned and nothing is
        raised: the tests of the target continue, and the sessions of the baseline are
        lost.
        """
        name = (text, dialect.name, model)
        with self._turns.alone():
            known = self._recall(text, dialect, *name) or self._hosts.get(name)
            if known is None:
                known = self._find(text, dialect, model)
            elif isinstance(known, Host) and name not in self._abandoned:
                recovered = self._recover(known)
                if baseline and isinstance(recovered, Unreachable):
                    self._warn(f"realtime baseline target: {recovered}")
                    self._abandoned.add(name)
                else:
                    known = recovered
            self._progress("")
            self._hosts[name] = known
            self._keep(known, *name)
        if isinstance(known, Unreachable):
            raise known
        return known

    def find(self, text: str) -> Discovery:
        """Detect the dialect of a target from the server's first message.

        The server is asked once in a run. Raises `Unreachable` if no dialect was
        detected; the message says what the server sent first and what to do.
        """
        with self._turns.alone():
            found = self.discovered.get(text)
            found = found or self._answers.find(Discovery, text, AUTO)
            if found is None:
                self._progress("detecting the protocol of the server")
                found = self._ask_first(text)
                self._progress("")
            self.discovered[text] = found
            self._answers.keep(found, text, AUTO)
        if found.lost:
            raise Unreachable(found.lost)
        return found

    def dialect(self, text: str, name: str) -> tuple[Dialect, str]:
        """Return the dialect of a target, and a text that says how it was detected.

        The text is empty if ``name`` is not `AUTO`. Raises `Unreachable` if the dialect
        cannot be detected, and LookupError if it is unknown.
        """
        if name != AUTO:
            return dialects.load(name), ""
        found = self.find(text)
        return dialects.load(found.dialect), f"auto: {found.reason}"

    def ask(self, text: str, dialect: Dialect) -> tuple[str, str]:
        """Return the URL and the model of a target, without a warm-up.

        Raises `Unreachable` if the server does not answer.
        """
        access = self.access(text, dialect)
        probe.health(access)
        model = self._config.session.model
        if not model:
            model, _ = self._model(text, dialect, access)
        return access.target.shown, model

    def plan(
        self,
        text: str,
        terms: Terms,
        options: Mapping[str, object],
        *,
        baseline: bool = False,
        replayed: bool = False,
    ) -> Plan:
        """Return the plan of the sessions that a test opens with this target.

        ``baseline`` says that the target is the baseline server. ``replayed`` says that
        the server replays recorded sessions. Raises `Unreachable` if the server does
        not answer, `OptionsError` for wrong session options, and LookupError if the
        dialect is unknown.
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
            meter=self._meter,
            replayed=replayed,
        )

    def metrics(self, plan: Plan) -> Source | None:
        """Return the source of the metrics that the server of these sessions publishes.

        Return ``None`` if the library that parses them is not installed.
        """
        if not is_installed():
            return None
        server = self._config.server
        # The metrics may be encrypted even if the sessions are not.
        access = replace(plan.access, tls=server.tls.context())
        return source(
            plan.dialect, access, url=server.metrics_url, names=server.metrics_names
        )

    def rules(
        self, dialect: Dialect, version: str, model: str
    ) -> tuple[Requirement, ...]:
        """Return the requirements by which a server of this version is judged.

        Requirements that are known failures are changed so that they fail no test.
        """
        config = self._config
        found = dialect.requirements
        if config.pinned is not None:
            found = config.pinned.select(found)
        binding = [each for each in found if each.applies_to(version)]
        return softened(binding, config.known, version=version, model=model)

    def note_trouble(self, test: str, sessions: Iterable[Live]) -> None:
        """Remember the servers whose sessions failed in a test, to probe them again.

        If a server speaks another dialect than the test expects, it counts as
        unreachable from now on.
        """
        for live in sessions:
            self.note_end(test, live.plan.access, live.trace.end)
            if live.misfit:
                self._refuse(live, live.misfit)
            self._note_first(live)

    def note_end(self, test: str, access: Access, end: End) -> None:
        """Remember a server if one of its sessions in a test ended abnormally."""
        if end.how in _TROUBLE:
            self._suspects[access.target.websocket] = test, datetime.now(UTC)

    def _note_first(self, live: Live) -> None:
        """Treat a server as unreachable if it has refused each session so far.

        The warm-up usually finds such a server. Without a warm-up, a session of a test
        may be the first to find it. A session with another model than the run's model
        proves nothing about the server.
        """
        if live.trace.opened is not None and live.timeline.ready is not None:
            self._served.add(live.plan.access.target.websocket)
        host = next((h for h in self._hosts.values() if _reaches(h, live)), None)
        if not isinstance(host, Host) or live.plan.model != host.model:
            return
        if live.plan.access.target.websocket in self._served:
            return
        end = live.trace.end
        if end.how is Ending.REFUSED and end.code in _WRONG:
            self._refuse(live, end.reason)
        elif mute := silence(live.plan, live.recording):
            self._refuse(live, mute)

    def _ask_first(self, text: str) -> Discovery:
        """Detect the dialect of a server, and wait if the server is still loading."""
        model, wait = self._config.session.model, self._config.server.wait
        asked = ways(lambda dialect: self.access(text, dialect, model))
        try:
            probe.health(asked[0], wait=wait, progress=self._progress)
        except Unreachable as error:
            return Discovery(lost=str(error))
        return self._loop().run(find(asked, self.redactor, wait=wait))

    def _refuse(self, live: Live, why: str) -> None:
        """Treat the server of a session as unreachable from now on."""
        for name, known in self._hosts.items():
            if _reaches(known, live):
                self._hosts[name] = Unreachable(why)
                self._keep(self._hosts[name], *name)

    def _find(self, text: str, dialect: Dialect, model: str) -> Host | Unreachable:
        """Probe and warm up a server; return it, or the error if it is unreachable."""
        try:
            access = self.access(text, dialect)
            probe.health(access, wait=self._config.server.wait, progress=self._progress)
            models: tuple[str, ...] = ()
            if not model:
                model, models = self._model(text, dialect, access)
            host = Host(
                self.access(text, dialect, model),
                model,
                self._config.server.version or probe.version(access),
                models=models,
            )
            return self._warm_up(text, host, dialect)
        except Unreachable as error:
            return error

    def _limits(self) -> Limits:
        """Return the time limits of a session after the warm-up.

        Without a warm-up, each session gets the limits of a first session, since any
        session may be the first one of the server.
        """
        server, timeout = self._config.server, self._config.session.timeout
        limits = time_limits(timeout)
        if server.warmup != 0:
            return limits
        cold = time_limits(timeout, wait=server.wait)
        return replace(limits, connect=cold.connect, ready=cold.ready)

    def _model(
        self, text: str, dialect: Dialect, access: Access
    ) -> tuple[str, tuple[str, ...]]:
        """Return the model for sessions, and all models that the server lists.

        If the server lists several models, the first one that works is chosen, once in
        a run. Raises `Unreachable`.
        """
        name = (text, dialect.name)
        if name not in self._models:
            models = probe.models(access)
            try:
                chosen = model_choice.choose(
                    self._loop(),
                    models,
                    lambda model: self._first_plan(text, dialect, model),
                    progress=self._progress,
                )
            except NoModel as error:
                where = f"{access.target.http}/v1/models"
                raise Unreachable(f"{where}: {error}") from error
            self._models[name] = chosen, models
        return self._models[name]

    def _first_plan(self, text: str, dialect: Dialect, model: str) -> Plan:
        """Return the plan of a session with a server that is perhaps not warm yet."""
        session = self._config.session
        return Plan(
            dialect=dialect,
            access=self.access(text, dialect, model),
            model=model,
            options=session.options,
            pace=session.pace,
            chunk=session.chunk,
            limits=time_limits(session.timeout, wait=self._config.server.wait),
            redactor=self.redactor,
            meter=self._meter,
        )

    def access(self, text: str, dialect: Dialect, model: str = "") -> Access:
        """Return how sessions of a dialect connect to the server of a target.

        Raises TargetError for a target that cannot be used.
        """
        server = self._config.server
        query = dialect.caller(model, {}).query
        where = target.parse(text, path=dialect.path, query=query)
        self.redactor = self.redactor.also(where.secrets)
        own = {name.lower() for name in server.headers}

        def headers(key: str) -> Mapping[str, str]:
            found = dialect.headers(key).items()
            of_dialect = {name: each for name, each in found if name.lower() not in own}
            return {**server.headers, **of_dialect}

        changes: dict[str, Any] = {"headers": headers(server.key)}
        if self._key_command is not None:
            renewable = KeyHeaders(self._key_command, headers)
            dict(renewable)  # a command that fails is an error here
            changes = {"headers": renewable, "renew": renewable.renew}
        return Access(
            where,
            **changes,
            tls=server.tls.context() if where.secure else None,
            server_name=server.tls.server_name,
            proxy=None if where.loopback else server.proxy or True,
            max_message=server.max_message,
            key_source=server.key_source
            or ("the URL of the target" if where.secrets else ""),
        )

    def _recover(self, host: Host) -> Host | Unreachable:
        """Probe a server again if its sessions failed in a test.

        Return the server, or the error if it is unreachable.
        """
        suspect = self._suspects.pop(host.access.target.websocket, None)
        if suspect is None:
            return host
        test, when = suspect
        wait = self._config.server.recover
        if self.recovery.has_given_up(host.access):
            wait = 0.0
        try:
            probe.health(host.access, wait=wait, progress=self._progress)
        except Unreachable as error:
            return Unreachable(
                f"the server was lost at {when:%H:%M:%S} UTC in {test}: {error}"
            )
        return host

    def _warm_up(self, text: str, host: Host, dialect: Dialect) -> Host:
        """Return the server after its warm-up. Raises `Unreachable`."""
        server, timeout = self._config.server, self._config.session.timeout
        plan = replace(self._first_plan(text, dialect, host.model), access=host.access)
        found = warm_up(
            self._loop(),
            plan,
            self._warm,
            sessions=server.warmup,
            timeout=timeout,
            wait=server.wait,
            progress=self._progress,
        )
        return replace(
            host,
            cold=found.cold,
            note=found.note,
            failed=found.failed,
            mute=found.mute,
        )

    def _keep(self, known: Host | Unreachable, *words: str) -> None:
        """Store the state of a server for the other workers."""
        if isinstance(known, Unreachable):
            self._answers.keep(_Answer(lost=str(known)), *words)
        else:
            answer = _Answer(
                model=known.model,
                version=known.version,
                cold=known.cold,
                note=known.note,
                failed=known.failed,
                models=known.models,
                mute=known.mute,
            )
            self._answers.keep(answer, *words)

    def _recall(
        self, text: str, dialect: Dialect, *words: str
    ) -> Host | Unreachable | None:
        """Return the server or the error that a worker stored, or ``None``."""
        found = self._answers.find(_Answer, *words)
        if found is None:
            return None
        if found.lost:
            return Unreachable(found.lost)
        access = self.access(text, dialect, found.model)
        return Host(
            access,
            found.model,
            found.version,
            found.cold,
            found.note,
            found.failed,
            found.models,
            found.mute,
        )


def _reaches(known: Host | Unreachable, live: Live) -> bool:
    """Return whether ``known`` is the server of a session."""
    return isinstance(known, Host) and known.access is live.plan.access
