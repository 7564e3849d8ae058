"""Requirements on a session, and the outcomes of their checks.

A check is a pure function of the recorded evidence. Its outcome is *satisfied*,
*violated* (with the records that violate the requirement) or *undecided* (with the
reason). For example, the outcome is undecided if the client ended the session before
the server had to answer.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace

from packaging.version import Version

from pytest_realtime_asr.requirements import flaws
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.text.messages import shortened
from pytest_realtime_asr.trace.recording import Flaw, Recording
from pytest_realtime_asr.trace.records import Sender

REAL_TIME = 1.0  # the pace of a proof that depends on the server's clock
FAST = 8.0  # the pace of all other proofs


class Level(enum.Enum):
    """The level of a requirement, which says how binding it is.

    A violation at level INFO never fails a test.
    """

    MUST = "must"
    SHOULD = "should"
    INFO = "info"


class Harm(enum.Enum):
    """The harm that a scenario may do to a server and to its other users.

    HEAVY scenarios flood the server or open four sessions or more. DISRUPTIVE scenarios
    do what has crashed servers before.
    """

    SAFE = "safe"
    HEAVY = "heavy"
    DISRUPTIVE = "disruptive"


@dataclass(frozen=True, slots=True)
class Satisfied:
    """The outcome if the sessions show that the requirement is met."""


@dataclass(frozen=True, slots=True)
class Violated:
    """The outcome if the sessions show that the requirement is violated.

    ``records`` are the indexes of the records that violate the requirement. These
    records belong to the session at index ``part`` of the evidence. The first paragraph
    of ``message`` is shortened, since it may quote a long text of the server.
    ``by_end`` is true if the way in which the session ended is the violation.
    ``by_loss`` is true if an utterance without a final is the violation. ``flaws`` are
    the distinct flaws of the frames, if the flaws are the violation.
    """

    message: str
    records: tuple[int, ...]
    part: int = 0
    by_end: bool = False
    by_loss: bool = False
    flaws: tuple[Flaw, ...] = ()

    def __post_init__(self) -> None:
        first, gap, rest = self.message.partition("\n\n")
        object.__setattr__(self, "message", f"{shortened(first)}{gap}{rest}")


@dataclass(frozen=True, slots=True)
class Undecided:
    """The outcome if the sessions do not show whether the requirement is met."""

    reason: str


Outcome = Satisfied | Violated | Undecided
SessionCheck = Callable[[Recording], Outcome]
"""A check of one session."""
Check = Callable[[Evidence], Outcome]
"""A check of all evidence from the scenarios of a requirement."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A check that demands errors with one of ``codes``.

    If ``codes`` is empty, an error may have any code.
    """

    check: Check
    codes: tuple[str, ...]

    def __call__(self, evidence: Evidence) -> Outcome:
        """Return the outcome of the check."""
        return self.check(evidence)


@dataclass(frozen=True, slots=True)
class Proof:
    """The faults that violate a requirement, and how to run the faulty fake server.

    The fake server has all ``faults`` at the same time. ``pace`` is the pace of the
    audio. ``chunk`` is the length of a chunk in s. ``final`` is the delay in s after
    which the fake server sends a final. ``beside`` names scenarios that run in addition
    to the scenarios of the requirement. ``own_process`` is true if the fake server
    needs its own process, since a fault may end the process.
    """

    faults: tuple[str, ...]
    pace: float = FAST
    chunk: float = 0.1
    final: float = 0.02
    beside: tuple[str, ...] = ()
    own_process: bool = False


@dataclass(frozen=True, slots=True)
class Requirement:
    """One statement about the protocol, with its check and its proof.

    ``clause`` names the document or the bug reports behind the requirement. ``binds``
    is the side that must meet the requirement. The requirement applies to the version
    ``since`` and later versions, but only before ``until``. ``scenarios`` provide the
    evidence for the requirement. If ``passive`` is true, the requirement is also
    checked on every session of every test. If ``whole_run`` is true, it is checked on
    all sessions of the suite. ``proof`` names faults of the fake server for which the
    check must fail; the self-test covers only requirements with a proof.
    """

    id: str
    title: str
    level: Level
    clause: str
    check: Check
    binds: Sender = Sender.SERVER
    scenarios: tuple[str, ...] = ()
    passive: bool = False
    whole_run: bool = False
    since: str | None = None
    until: str | None = None
    proof: Proof | None = None

    def applies_to(self, version: str) -> bool:
        """Return whether the requirement applies to this version of the server.

        A version that cannot be read counts as the newest. Suffixes of the release
        number (``0.33.1.dev5+g1a2b3c``) are compared too.
        """
        try:
            given = Version(version)
        except ValueError:  # not a version, or one of too many digits
            return not self.until
        if self.since and given < Version(self.since):
            return False
        return not self.until or given < Version(self.until)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes that the check allows for an error; empty if it allows any code."""
        return self.check.codes if isinstance(self.check, Coded) else ()

    @property
    def interval(self) -> str | None:
        """The versions to which the requirement applies; ``None`` for all versions."""
        since = f"since {self.since}" if self.since else ""
        until = f"before {self.until}" if self.until else ""
        return " and ".join(filter(None, (since, until))) or None


def each(check: SessionCheck, *, of_fields: bool = False) -> Check:
    """Return a check that applies ``check`` to each session.

    If a session violates ``check``, the outcome is the first violation, and its message
    has the flaws of all sessions. Otherwise the outcome is satisfied if any session
    satisfies ``check``, and undecided if no session does.

    If all violating frames of a session have missing or wrong fields, the session
    violates ``check`` only if ``of_fields`` is true; otherwise it is undecided.
    """

    def check_all(evidence: Evidence) -> Outcome:
        found: Outcome = Undecided("no session was run")
        violated: list[Violated] = []
        for place, part in enumerate(evidence.parts):
            outcome = check(part.recording)
            if not of_fields:
                outcome = _without_flaws(outcome, part.recording)
            if isinstance(outcome, Violated):
                violated.append(replace(outcome, part=place))
                if not outcome.flaws:
                    break
            elif isinstance(outcome, Satisfied) or not isinstance(found, Satisfied):
                found = outcome
        if not violated:
            return found
        message = flaws.described([each.flaws for each in violated])
        return replace(violated[0], message=message or violated[0].message)

    return check_all


def _without_flaws(outcome: Outcome, recording: Recording) -> Outcome:
    """Return ``outcome``, or `Undecided` if all violating frames have wrong fields."""
    if not isinstance(outcome, Violated) or not outcome.records:
        return outcome
    if any(index not in recording.flaws for index in outcome.records):
        return outcome
    reason = recording.flaws[outcome.records[0]].reason
    return Undecided(
        f"the frame that seems to violate the requirement has wrong fields ({reason})"
    )
