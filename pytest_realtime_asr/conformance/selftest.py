"""The suite judges itself: each requirement passes on a sound fake, trips on a broken.

Fakes share a process, each on a port of its own; one that a fault ends has a process
for itself. Many are spoken to at the same time, faster than real time where that shows
as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Limits, Plan
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.conformance import clips, results
from pytest_realtime_asr.conformance.results import Result, Status
from pytest_realtime_asr.conformance.scenario_run import RunConfig
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scenarios.overload import FLOODS
from pytest_realtime_asr.conformance.scheduler import Bounds, Scheduler
from pytest_realtime_asr.fake.server_pool import (
    MODEL,
    FakeSpec,
    ServerPool,
)
from pytest_realtime_asr.requirements.requirement import Harm, Proof, Requirement
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Sender

VERSION = "0.33.0"
_KEY = "the-key-of-the-selftest"
_CORPUS = "bundled:english"
_STREAMS = 16
_AT_ONCE = 8  # fakes at a time
_LIMITS = Limits(connect=10, ready=5, silence=3.0, beyond=15)
_ANSWER = 1.0  # s in which a refusal has to come
_SETTLE = 0.1  # s in which nothing more should come
_AGAIN = 2  # times at most that what came to no verdict is held again


@dataclass(frozen=True, slots=True)
class Score:
    """What the self-test found: each requirement on the sound fake and on its fault.

    ``proofs`` are those of the dialect.
    """

    dialect: str
    proofs: Mapping[str, Proof]
    sound: Mapping[str, Result]
    broken: Mapping[str, Result]

    @property
    def unproven(self) -> list[str]:
        """One line for each requirement that lacks one of its two proofs."""
        lines = []
        for id, found in self.sound.items():
            if found.status is not Status.SATISFIED:
                seen = f"sound, yet {found.status.value}: {found.reason}"
                lines.append(f"{self.dialect}: {id}: {seen}")
        for id, found in self.broken.items():
            if found.status is not Status.VIOLATED:
                faults = " ".join(self.proofs[id].faults)
                seen = f"with {faults}, yet {found.status.value}: {found.reason}"
                lines.append(f"{self.dialect}: {id}: {seen}")
        return lines

    def __str__(self) -> str:
        sound = sum(r.status is Status.SATISFIED for r in self.sound.values())
        broken = sum(r.status is Status.VIOLATED for r in self.broken.values())
        return (
            f"{self.dialect}: {sound} of {len(self.sound)} requirements are satisfied "
            f"by the sound fake, {broken} of {len(self.broken)} are violated by their "
            "fault"
        )


class Bench:
    """Fakes of a dialect, and suites that are held with them, in a ``with`` block.

    ``variety`` is the seed by which the fakes differ where sound servers may.
    """

    def __init__(self, dialect: str, *, variety: int | None = None) -> None:
        self.dialect = dialects.load(dialect)
        self.proofs: Mapping[str, Proof] = {
            id: each.proof
            for id, each in self.requirements.items()
            if each.proof is not None
        }
        self._variety = variety
        self._spoken = clips.choose(corpus.load(_CORPUS))
        self._sessions = Loop()
        self._stack = ExitStack()
        self._stack.callback(self._sessions.stop)
        self._pool = self._stack.enter_context(ServerPool(_CORPUS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def requirements(self) -> Mapping[str, Requirement]:
        """Those that bind a server, by id."""
        return {
            each.id: each
            for each in self.dialect.requirements
            if each.binds is Sender.SERVER
        }

    def floods(self, ids: Iterable[str]) -> bool:
        """Whether what provokes one of these requirements floods the server."""
        names = (name for id in ids for name in self.requirements[id].scenarios)
        return any(name in FLOODS for name in names)

    def hold(
        self, ids: Iterable[str], proof: Proof, *, again: int = _AGAIN
    ) -> Callable[[], dict[str, Result]]:
        """Begin the scenarios of these requirements on a fake with these faults.

        What is given waits for them and judges. On a busy machine it is chance which of
        two frames that cross comes first, and with it whether a scenario has shown what
        it was held for; what is undecided is held ``again`` so many times, on a fake of
        its own.
        """
        wanted = [self.requirements[id] for id in ids]
        names = {name for each in wanted for name in each.scenarios} | {*proof.beside}
        order = FakeSpec(
            self.dialect.name,
            proof.faults,
            self._variety,
            _KEY,
            final_delay=proof.final,
        )
        pool = self._pool
        if proof.own_process:
            pool = self._stack.enter_context(ServerPool(_CORPUS))
        url = pool.start(order)
        where = target.parse(
            url, path=self.dialect.path, query=self.dialect.query(MODEL)
        )
        plan = Plan(
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
        scheduler = Scheduler(
            RunConfig(
                self._sessions, plan, self._spoken, answer=_ANSWER, settle=_SETTLE
            ),
            scenarios(self.dialect),
            Bounds(frozenset(Harm), _STREAMS, math.inf),
        )
        scheduler.start(names)

        def judge() -> dict[str, Result]:
            # Those that hold for every session come last, so that they see most.
            found = {
                each.id: results.judge(each, scheduler, self.dialect, version=VERSION)
                for each in sorted(wanted, key=lambda each: each.passive)
            }
            open = [id for id in found if found[id].status is Status.UNDECIDED]
            if open and again:
                found |= self.hold(open, proof, again=again - 1)()
            return found

        return judge


def prove(
    bench: Bench, ids: Iterable[str], *, tell: Callable[[str], None] = lambda text: None
) -> dict[str, Result]:
    """Each requirement on the fake with its fault."""
    groups: dict[tuple[Proof, str], list[str]] = {}
    for id in ids:
        proof = bench.proofs[id]
        # A server that a fault ends serves for one requirement.
        groups.setdefault((proof, id if proof.own_process else ""), []).append(id)
    # The longest first, so that none is left alone at the end; and those by themselves
    # that flood their server, since frames of 15 MiB hold up who looks at the clock.
    order = sorted(groups.items(), key=lambda group: group[0][0].pace)
    calm = [each for each in order if not bench.floods(each[1])]
    rest = [each for each in order if bench.floods(each[1])]

    def hold(group: tuple[tuple[Proof, str], list[str]]) -> dict[str, Result]:
        (proof, _), its = group
        return bench.hold(its, proof)()

    found: dict[str, Result] = {}
    for batch, at_once in ((calm, _AT_ONCE), (rest, 1)):
        with ThreadPoolExecutor(at_once) as pool:
            for each in pool.map(hold, batch):
                found |= each
                tell(f"{len(found)} of {sum(map(len, groups.values()))} requirements")
    return found


def run(dialect: str | None, *, tell: Callable[[str], None]) -> list[Score]:
    """Run the self-test of one dialect, or of all.

    ``tell`` reports the progress. Raises LookupError for an unknown dialect.
    """
    names = dialects.installed() if dialect is None else [dialect]
    return [selftest(name, tell=tell) for name in names]


def selftest(name: str, *, tell: Callable[[str], None]) -> Score:
    """Run both proofs of every requirement of a dialect.

    ``tell`` hears how far it has come. Raises LookupError for an unknown dialect.
    """
    with Bench(name) as bench:
        ids = list(bench.requirements)
        tell(f"the sound fake: {len(ids)} requirements")
        sound = bench.hold(ids, Proof(()))()
        broken = prove(bench, bench.proofs, tell=tell)
    return Score(bench.dialect.name, bench.proofs, sound, broken)
