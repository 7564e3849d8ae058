"""What requirements judge: sessions as they were recorded, and the parts they played.

A rule that holds for every session looks at one of them. A requirement that has to be
provoked looks at what a scenario gave: several sessions, each in a role of its own,
what the server said over plain HTTP, and what it counted.
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
    """A session and the ``role`` that it played in a scenario.

    ``spoken`` is what was said in it, by the number of the item.
    """

    role: str
    recording: Recording
    spoken: Mapping[int, Utterance] = field(default_factory=dict)

    @property
    def trace(self) -> Trace:
        """What was recorded."""
        return self.recording.trace

    @property
    def timeline(self) -> Timeline:
        """What its frames mean."""
        return self.recording.timeline

    def text(self, item: int) -> str | None:
        """The final text of an item, ``None`` where none came."""
        final = self.timeline.item(item).final
        return None if final is None else final.text


@dataclass(frozen=True, slots=True)
class Answer:
    """What a plain HTTP request was answered: ``status`` 0 where nothing came."""

    role: str
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the server counted at one time, by the name of the metric.

    ``after`` is the scenario that was held before. ``values`` is empty for a server
    that has no ``/metrics``; ``lost`` says why nobody answered, else it is empty.
    """

    after: str
    values: Mapping[str, float]
    lost: str = ""


@dataclass(frozen=True, slots=True)
class SessionFinding:
    """What went wrong in a random session of this ``role``, in a sentence.

    ``script`` is a test that does it again; ``flaky`` says that it did not always.
    """

    role: str
    what: str
    script: str
    flaky: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one or several scenarios gave, in the order in which it began."""

    parts: tuple[Part, ...]
    answers: tuple[Answer, ...] = ()
    gauges: tuple[Gauges, ...] = ()
    findings: tuple[SessionFinding, ...] = ()

    def role(self, *roles: str) -> tuple[Part, ...]:
        """The sessions that played one of these roles."""
        return tuple(part for part in self.parts if part.role in roles)

    def index(self, part: Part) -> int:
        """The place of a session among all of them."""
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
