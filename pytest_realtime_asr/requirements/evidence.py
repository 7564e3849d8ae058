"""Evidence: the recorded sessions that requirements are checked on, and their roles.

A passive requirement is checked on each session. Any other is checked on what its
scenarios gave: several sessions, each in a role, answers over plain HTTP, and the
server's own metrics.
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
    """A session and the ``role`` that it had in a scenario.

    ``spoken`` are the utterances that were sent in it, by the number of the item.
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
        """Return the final text of an item, ``None`` if none came."""
        final = self.timeline.item(item).final
        return None if final is None else final.text


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a plain HTTP request; ``status`` is 0 if none came."""

    role: str
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Gauges:
    """The server's own metrics at one time, by their names.

    ``after`` is the scenario that ran before. ``values`` is empty for a server without
    ``/metrics``; ``lost`` is the reason why no server answered, empty if one did.
    """

    after: str
    values: Mapping[str, float]
    lost: str = ""


@dataclass(frozen=True, slots=True)
class SessionFinding:
    """What went wrong in a random session of this ``role``, in a sentence.

    ``script`` is a test that repeats it; ``flaky`` says that it does not always fail.
    """

    role: str
    what: str
    script: str
    flaky: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that one or several scenarios gave, in the order in which it began."""

    parts: tuple[Part, ...]
    answers: tuple[Answer, ...] = ()
    gauges: tuple[Gauges, ...] = ()
    findings: tuple[SessionFinding, ...] = ()

    def role(self, *roles: str) -> tuple[Part, ...]:
        """Return the sessions with one of these roles."""
        return tuple(part for part in self.parts if part.role in roles)

    def index(self, part: Part) -> int:
        """Return the index of a session among all of them."""
        return next(i for i, each in enumerate(self.parts) if each is part)

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(
            self.parts + other.parts,
            self.answers + other.answers,
            self.gauges + other.gauges,
            self.findings + other.findings,
        )


def observed_side(trace: Trace) -> Sender:
    """Return the side that did not record the session: the one that is checked."""
    return Sender.SERVER if trace.vantage is Vantage.CLIENT else Sender.CLIENT
