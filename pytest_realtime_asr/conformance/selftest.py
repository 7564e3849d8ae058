"""The self-test: each check passes on a correct fake server and fails on a faulty one.

The fake servers, *fakes* for short, run in one process, each on its own port. A fake
whose fault may end the process runs in a separate process. Sessions with different
fakes run at the same time. If a fault does not depend on time, the audio is sent faster
than real time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Limits, Plan
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.conformance import clips, results, selection
from pytest_realtime_asr.conformance.config import FUZZ_SEED
from pytest_realtime_asr.conformance.machine_load import MachineLoad
from pytest_realtime_asr.conformance.results import Result, Status
from pytest_realtime_asr.conformance.scenario_run import RunConfig
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scenarios.overload import FLOODS
from pytest_realtime_asr.conformance.scheduler import Bounds, Scheduler
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.faults.registry import GROUP, known
from pytest_realtime_asr.fake.server_pool import (
    MODEL,
    FakeSpec,
    ServerPool,
)
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import Harm, Proof, Requirement
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Sender

VERSION = "0.33.0"
_KEY = "the-key-of-the-selftest"
_CORPUS = "bundled:english"
_STREAMS = 16
_AT_ONCE = 8  # fakes at the same time
_LIMITS = Limits(connect=10, ready=5, silence=3.0, beyond=15)
_ANSWER = 1.0  # s within which a refusal has to arrive
_SETTLE = 0.1  # s to wait for events that should not arrive
_RETRIES = 2  # repetitions of requirements that are undecided


@dataclass(frozen=True, slots=True)
class Score:
    """The results of a dialect's requirements on correct and on faulty fake servers.

    The keys of each mapping are the ids of requirements. ``proofs`` name the faults
    with which a fake server must violate a requirement. ``correct`` has the results on
    the fake server without faults, and ``faulty`` has the results on the fake servers
    with these faults.
    """

    dialect: str
    proofs: Mapping[str, Proof]
    correct: Mapping[str, Result]
    faulty: Mapping[str, Result]
    load: MachineLoad | None = None

    @property
    def unproven(self) -> list[str]:
        """One line for each wrong result.

        A result is wrong if the correct fake server does not satisfy the requirement,
        or if the fake server with the matching fault does not violate it. For a dialect
        without requirements, one line says that nothing is proven.
        """
        lines = []
        if not self.correct:
            lines.append(
                f"{self.dialect}: the dialect has no requirements, so the self-test "
                "proves nothing"
            )
        for id, found in self.correct.items():
            if found.status is not Status.SATISFIED:
                lines.append(self._line(id, found, "on a correct fake"))
        for id, found in self.faulty.items():
            if found.status is not Status.VIOLATED:
                faults = " ".join(self.proofs[id].faults)
                lines.append(self._line(id, found, f"with the fault {faults}"))
        return lines

    def _line(self, id: str, found: Result, where: str) -> str:
        reason = f": {found.reason}" if found.reason else ""
        busy = ""
        if self.load is not None and self.load.is_high:
            busy = (
                f"; the machine was busy: {self.load}; repeat the self-test on a quiet "
                "machine"
            )
        return f"{self.dialect}: {id}: {found.status.value} {where}{reason}{busy}"

    def __str__(self) -> str:
        passed = sum(r.status is Status.SATISFIED for r in self.correct.values())
        failed = sum(r.status is Status.VIOLATED for r in self.faulty.values())
        return (
            f"{self.dialect}: {passed} of {len(self.correct)} requirements are "
            f"satisfied by the correct fake, {failed} of {len(self.faulty)} are "
            "violated by the fake with the matching fault"
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of a requirement, and the evidence on which it was judged."""

    result: Result
    evidence: Evidence


class Bench:
    """A context manager that runs the suite on the fake servers of a dialect.

    ``variety`` is the seed for the legal variation of the fake servers. Raises
    LookupError if the dialect is unknown, or if one of its requirements needs a
    scenario or a fault that does not exist.
    """

    def __init__(self, dialect: str, *, variety: int | None = None) -> None:
        self.dialect = dialects.load(dialect)
        selection.checked_scenarios(self.dialect)
        for problem in missing_faults(self.dialect):
            raise LookupError(problem)
        self.proofs: Mapping[str, Proof] = {
            id: each.proof
            for id, each in self.requirements.items()
            if each.proof is not None
        }
        self._variety = variety
        self._clips = clips.choose(corpus.load(_CORPUS))
        self._loop = Loop()
        self._stack = ExitStack()
        self._stack.callback(self._loop.stop)
        self._pool = self._stack.enter_context(ServerPool(_CORPUS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def requirements(self) -> Mapping[str, Requirement]:
        """The dialect's requirements for servers, by their ids."""
        return {
            each.id: each
            for each in self.dialect.requirements
            if each.binds is Sender.SERVER
        }

    def floods(self, ids: Iterable[str]) -> bool:
        """Return whether any scenario of these requirements sends megabytes of data."""
        names = (name for id in ids for name in self.requirements[id].scenarios)
        return any(name in FLOODS for name in names)

    def start(
        self, ids: Iterable[str], proof: Proof, *, retries: int = _RETRIES
    ) -> Callable[[], dict[str, Result]]:
        """Start the scenarios of requirements on a fake server.

        The fake server has the faults of ``proof``. Returns a function that waits for
        the scenarios and returns the result of each requirement. Undecided requirements
        are repeated as `observe` says.
        """
        judge = self.observe(ids, proof, retries=retries)
        return lambda: {id: seen.result for id, seen in judge().items()}

    def observe(
        self, ids: Iterable[str], proof: Proof, *, retries: int = _RETRIES
    ) -> Callable[[], dict[str, Seen]]:
        """Start the scenarios of requirements on a fake server.

        The fake server has the faults of ``proof``. Returns a function that waits for
        the scenarios and returns the result and the evidence of each requirement.

        An undecided requirement is repeated on a new fake server, up to ``retries``
        times. Some requirements can be decided only if two frames come in a certain
        order, and this order is random on a busy machine.
        """
        wanted = [self.requirements[id] for id in ids]
        names = {name for each in wanted for name in each.scenarios} | {*proof.beside}
        scheduler = Scheduler(
            RunConfig(
                self._loop,
                self._plan(self._fake(proof), proof),
                self._clips,
                answer=_ANSWER,
                settle=_SETTLE,
                # The suite's own seed: not all random scripts provoke each fault.
                seed=FUZZ_SEED,
            ),
            scenarios(self.dialect),
            Bounds(frozenset(Harm), _STREAMS, math.inf),
        )
        scheduler.start(names)

        def judge() -> dict[str, Seen]:
            # Passive requirements come last, to be judged on the most sessions.
            found = {
                each.id: Seen(
                    results.judge(each, scheduler, self.dialect, version=VERSION),
                    _evidence(each, scheduler),
                )
                for each in sorted(wanted, key=lambda each: each.passive)
            }
            open = [
                id
                for id, seen in found.items()
                if seen.result.status is Status.UNDECIDED
            ]
            if open and retries:
                found |= self.observe(open, proof, retries=retries - 1)()
            return found

        return judge

    def _fake(self, proof: Proof) -> str:
        """Start a fake server with the faults of a proof, and return its URL."""
        pool = self._pool
        if proof.own_process:
            pool = self._stack.enter_context(ServerPool(_CORPUS))
        return pool.start(
            FakeSpec(
                self.dialect.name,
                proof.faults,
                self._variety,
                _KEY,
                final_delay=proof.final,
            )
        )

    def _plan(self, url: str, proof: Proof) -> Plan:
        where = target.parse(url, path=self.dialect.path)
        return Plan(
            dialect=self.dialect,
            access=Access(where, headers=self.dialect.headers(_KEY)),
            model=MODEL,
            options={},
            pace=proof.pace,
            chunk=proof.chunk,
            limits=_LIMITS,
            redactor=Redactor([_KEY]),
            rules=self.dialect.requirements,
            version=VERSION,
        )


def missing_faults(dialect: Dialect) -> Iterator[str]:
    """Yield a message for each fault that is named by a proof but does not exist."""
    for each in dialect.requirements:
        for name in each.proof.faults if each.proof else ():
            if name not in known():
                yield (
                    f"the requirement {each.id} of the dialect {dialect.name} is "
                    f"proven with the fault {name}, which does not exist; declare the "
                    "fault in a module that is an entry point of the group "
                    f"{GROUP}, and install the package of this module again"
                )


def _evidence(requirement: Requirement, scheduler: Scheduler) -> Evidence:
    """Return the evidence on which a requirement is judged."""
    if requirement.whole_run:
        return scheduler.whole()
    if requirement.passive:
        return scheduler.everything
    return scheduler.collect(requirement.scenarios).evidence


def prove(
    bench: Bench,
    ids: Iterable[str],
    *,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Result]:
    """Return the result of each requirement on a fake server that must violate it."""
    seen = observe_faults(bench, ids, progress=progress)
    return {id: each.result for id, each in seen.items()}


def observe_faults(
    bench: Bench,
    ids: Iterable[str],
    *,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Seen]:
    """Judge each requirement on a fake server with the matching fault.

    Returns the result and the evidence of each requirement.
    """
    groups: dict[tuple[Proof, str], list[str]] = {}
    for id in ids:
        proof = bench.proofs[id]
        # A fake whose fault may end its process serves only one requirement.
        groups.setdefault((proof, id if proof.own_process else ""), []).append(id)
    # The groups of the slowest pace start first, so that none runs alone at the end.
    # Groups that flood their fake run alone, since frames of 15 MiB delay the other
    # sessions.
    order = sorted(groups.items(), key=lambda group: group[0][0].pace)
    calm = [each for each in order if not bench.floods(each[1])]
    flooding = [each for each in order if bench.floods(each[1])]

    def run(group: tuple[tuple[Proof, str], list[str]]) -> dict[str, Seen]:
        (proof, _), its = group
        return bench.observe(its, proof)()

    found: dict[str, Seen] = {}
    total = sum(map(len, groups.values()))
    for batch, at_once in ((calm, _AT_ONCE), (flooding, 1)):
        with ThreadPoolExecutor(at_once) as pool:
            for each in pool.map(run, batch):
                found |= each
                progress(
                    f"faulty fake servers: {len(found)} of {total} requirements are "
                    "judged"
                )
    return found


def selftests(dialect: str | None, *, progress: Callable[[str], None]) -> list[Score]:
    """Run the self-test of one dialect, or of all installed dialects for ``None``.

    ``progress`` is called with a line for each step. Raises LookupError for an unknown
    dialect.
    """
    names = dialects.installed() if dialect is None else [dialect]
    return [selftest(name, progress=progress) for name in names]


def selftest(name: str, *, progress: Callable[[str], None]) -> Score:
    """Judge a dialect's requirements on correct and on faulty fake servers.

    ``progress`` is called with a line for each step. Raises LookupError for an unknown
    dialect.
    """
    loads = [MachineLoad.now()]
    with Bench(name) as bench:
        ids = list(bench.requirements)
        progress(f"the correct fake: {len(ids)} requirements")
        correct = bench.start(ids, Proof(()))()
        loads.append(MachineLoad.now())
        faulty = prove(bench, bench.proofs, progress=progress)
        loads.append(MachineLoad.now())
    load = max(filter(None, loads), key=lambda each: each.average, default=None)
    return Score(bench.dialect.name, bench.proofs, correct, faulty, load)
