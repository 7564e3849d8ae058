"""Requirements on a session: what each one demands, and the outcomes of its check.

A check is a pure function of what was recorded. Its outcome is *satisfied*, *violated*
(with the records that violate it) or *undecided* (with the reason): a session that the
client ended early does not show what the server would still have sent.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace

from packaging.version import Version

from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.text.messages import shortened
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Sender

REAL_TIME = 1.0  # the pace of a proof that depends on the clock of the server
FAST = 8.0  # the pace of every other proof


class Level(enum.Enum):
    """How binding a requirement is; a violation of INFO is reported and never fails."""

    MUST = "must"
    SHOULD = "should"
    INFO = "info"


class Harm(enum.Enum):
    """What a scenario may do to a server and to its other users.

    HEAVY scenarios flood the server or open four sessions or more; DISRUPTIVE ones do
    what has crashed servers before.
    """

    SAFE = "safe"
    HEAVY = "heavy"
    DISRUPTIVE = "disruptive"


@dataclass(frozen=True, slots=True)
class Satisfied:
    """The sessions show that the requirement is met."""


@dataclass(frozen=True, slots=True)
class Violated:
    """The records with these indexes violate the requirement.

    They are records of the session at index ``part`` of the evidence. The first
    paragraph of the message is shortened, since it may quote a long text of the server.
    """

    message: str
    records: tuple[int, ...]
    part: int = 0

    def __post_init__(self) -> None:
        first, gap, rest = self.message.partition("\n\n")
        object.__setattr__(self, "message", f"{shortened(first)}{gap}{rest}")


@dataclass(frozen=True, slots=True)
class Undecided:
    """The sessions do not show whether the requirement is met."""

    reason: str


Outcome = Satisfied | Violated | Undecided
SessionCheck = Callable[[Recording], Outcome]
"""A check of one session."""
Check = Callable[[Evidence], Outcome]
"""A check of all sessions that the scenarios of a requirement gave."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The faults that violate a requirement, and how to run the fake that has them.

    ``faults`` are names of faults of the fake server, which has them all at once.
    ``pace`` is the pace of the audio, ``chunk`` the length of a chunk in s, ``final``
    the delay in s after which the fake sends a final. ``beside`` names scenarios that
    run in addition to those of the requirement. ``own_process`` says that the fake
    needs its own process, since the fault may end it.
    """

    faults: tuple[str, ...]
    pace: float = FAST
    chunk: float = 0.1
    final: float = 0.02
    beside: tuple[str, ...] = ()
    own_process: bool = False


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a server has to do, declared with its check and its proof.

    ``clause`` names the document or the bug reports behind it. ``binds`` is the side
    that has to meet it. It applies to versions from ``since`` to before ``until``.
    ``scenarios`` provoke it; one that is ``passive`` also applies to every session of
    every test. ``proof`` says by which fault of the fake its check is proven to fail;
    the self-test covers only requirements that have one.
    """

    id: str
    title: str
    level: Level
    clause: str
    check: Check
    binds: Sender = Sender.SERVER
    scenarios: tuple[str, ...] = ()
    passive: bool = False
    since: str | None = None
    until: str | None = None
    proof: Proof | None = None

    def applies_to(self, version: str) -> bool:
        """Return whether it binds this version; an unknown one counts as the newest.

        Anything after the release number (``0.33.1.dev5+g1a2b3c``) is compared too.
        """
        try:
            given = Version(version)
        except ValueError:  # not a version, or one of too many digits
            return not self.until
        if self.since and given < Version(self.since):
            return False
        return not self.until or given < Version(self.until)

    @property
    def interval(self) -> str | None:
        """The versions that it binds, in words; ``None`` for all versions."""
        since = f"since {self.since}" if self.since else ""
        until = f"before {self.until}" if self.until else ""
        return " and ".join(filter(None, (since, until))) or None


def each(check: SessionCheck) -> Check:
    """Return the check that applies a check of one session to all of them.

    The outcome is the first violation, else satisfied if any session satisfies it, else
    undecided.
    """

    def check_all(evidence: Evidence) -> Outcome:
        found: Outcome = Undecided("no session was run")
        for place, part in enumerate(evidence.parts):
            outcome = check(part.recording)
            if isinstance(outcome, Violated):
                return replace(outcome, part=place)
            if isinstance(outcome, Satisfied) or not isinstance(found, Satisfied):
                found = outcome
        return found

    return check_all
