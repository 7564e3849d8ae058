"""A level of load: how many streams, for how long, and how they speak.

A load is *closed* if a fixed number of streams is kept busy: a stream begins its next
session when its previous session is over. A load is *open* if sessions arrive at a
rate, whether or not the server has finished the earlier ones.

The time of a level starts with the *ramp*, in which the streams begin one after the
other. The *steady part* follows the ramp and lasts ``hold``. In the *drain* after the
steady part, no session begins, and the running sessions end. A session belongs to the
steady part if its audio is planned to start and to end in the steady part. This is
known before the session begins, so that a slow answer cannot move a session out of the
part that is judged.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Arrivals(enum.StrEnum):
    """How the sessions of an open load arrive."""

    POISSON = "poisson"
    CONSTANT = "constant"


class Phase(enum.StrEnum):
    """The part of a level to which a session belongs."""

    RAMP = "ramp"
    STEADY = "steady"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Load:
    """A level of load; all times are in seconds.

    ``ramp`` is the length of the ramp. ``hold`` is the length of the steady part.
    ``streams`` is the number of streams. For an open load, it is the largest number of
    open sessions; when it is reached, a session that is due is left out. ``talk``
    is the share of the time in which a stream of a closed load speaks; between two
    sessions the stream pauses. ``arrivals`` and ``rate``, in sessions per second,
    are set for an open load only. ``jitter`` is the largest random delay of a frame
    before it is sent, as on a mobile network. ``varied`` gives each session a lead
    silence and a dither of its own, so that the server cannot answer from a cache.
    ``seed`` determines when each stream begins, the order of the clips, the arrivals,
    the pauses, the jitter and the variations. The level is aborted when the share of
    lost sessions is above ``most_errors``. ``witnesses`` is the number of streams that
    run beside the load, and also before and after it.
    """

    streams: int
    hold: float
    ramp: float = 0.0
    talk: float = 1.0
    arrivals: Arrivals | None = None
    rate: float = 0.0
    jitter: float = 0.0
    varied: bool = True
    seed: int = 0
    most_errors: float = 0.2
    witnesses: int = 1

    @property
    def planned(self) -> float:
        """The time from the start of the level to the end of its steady part."""
        return self.ramp + self.hold

    def phase(self, start: float, stop: float) -> Phase:
        """Return the part of the level to which a session belongs.

        The audio of the session is planned from ``start`` to ``stop``, in s since the
        start of the level.
        """
        if start < self.ramp:
            return Phase.RAMP
        return Phase.STEADY if stop <= self.planned else Phase.DRAIN
