"""The recorded sessions on which requirements are checked, and their roles.

A passive requirement is checked on each session. Every other requirement is checked on
the evidence of its scenarios: several sessions (each has a role), answers to plain HTTP
requests, and the server's own metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Sender, Trace, Vantage
from pytest_realtime_asr.trace.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Part:
    """A session and its ``role`` in a scenario.

    ``spoken`` has the utterances that were sent in the session, by item number.
    """

    role: str
    recording: Recording
    spoken: Mapping[int, Utterance] = field(default_factory=dict)

    @property
    def trace(self) -> Trace:
        """The trace of the session."""
        return self.recording.trace

    @property
    def timeline(self) -> Timeline:
        """The timeline of the session."""
        return self.recording.timeline

    def text(self, item: int) -> str | None:
        """Return the final text of an item; ``None`` if no final came."""
        final = self.timeline.item(item).final
        return None if final is None else final.text


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a plain HTTP request.

    If no answer came, ``status`` is 0 and ``body`` is the reason.
    """

    role: str
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Gauges:
    """The values of the server's own metrics at one time, by name.

    ``after`` is the scenario that ran last before this time. ``values`` is empty for a
    server without ``/metrics``. ``lost`` is the reason why the server did not answer,
    and is empty if the server answered.
    """

    after: str
    values: Mapping[str, float]
    lost: str = ""


@dataclass(frozen=True, slots=True)
class SessionFinding:
    """The failure of a random session of this ``role``, described by ``what``.

    ``script`` is a test that repeats the session. ``flaky`` says that this test does
    not always fail. ``moves`` are those moves of the script that the order of the
    dialect does not allow. Each is a pair of the state before the move and the move
    itself. An ``excused`` failure already violates another requirement, so it is not
    reported as a violation of its own.
    """

    role: str
    what: str
    script: str
    flaky: bool = False
    moves: frozenset[tuple[str, str]] = frozenset()
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sessions and other observations of scenarios, in the order of their start.

    The n-th of the ``findings`` of a role belongs to the n-th session of this role.
    """

    parts: tuple[Part, ...]
    answers: tuple[Answer, ...] = ()
    gauges: tuple[Gauges, ...] = ()
    findings: tuple[SessionFinding, ...] = ()

    def role(self, *roles: str) -> tuple[Part, ...]:
        """Return the sessions with one of these roles."""
        return tuple(part for part in self.parts if part.role in roles)

    def index(self, part: Part) -> int:
        """Return the index of a session among all sessions of the evidence."""
        return next(i for i, each in enumerate(self.parts) if each is part)

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(
            self.parts + other.parts,
            self.answers + other.answers,
            self.gauges + other.gauges,
            self.findings + other.findings,
        )


def observed_side(trace: Trace) -> Sender:
    """Return the side that is checked, which is the one that did not record."""
    return Sender.SERVER if trace.vantage is Vantage.CLIENT else Sender.CLIENT
