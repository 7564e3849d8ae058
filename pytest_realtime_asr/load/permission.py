"""The permission that a load test of a server on another machine needs."""

from __future__ import annotations

import math
from collections.abc import Collection

from pytest_realtime_asr.load.cost import LoadCost
from pytest_realtime_asr.requirements.requirement import Harm
from pytest_realtime_asr.text.number_format import length

_ALLOW = "--realtime-allow"
_MAX_AUDIO = "--realtime-max-audio"


def load_refusal(
    cost: LoadCost,
    *,
    here: bool,
    allowed: Collection[Harm],
    max_audio: float | None,
    whole: bool = True,
) -> str | None:
    """Return why a load test may not run, and what to do; ``None`` if it may.

    ``here`` says that the server is on this machine, where every load is allowed.
    ``allowed`` are the values of ``--realtime-allow``. ``max_audio`` is the value of
    ``--realtime-max-audio`` in s; ``None`` if this option is not given. ``whole`` is
    false for a test that may end before it has sent all the audio of its ``cost``, such
    as a search for the capacity.
    """
    wanted = []
    if not here:
        if Harm.HEAVY not in allowed:
            names = sorted({Harm.HEAVY.value, *(each.value for each in allowed)})
            wanted.append(f"{_ALLOW}={','.join(reversed(names))}")
        if max_audio is None:
            wanted.append(f"{_MAX_AUDIO}={math.ceil(cost.audio)}s")
    if wanted:
        return (
            f"the server is not on this machine, and the load has {cost.text}; if the "
            f"server may get this load, add {' and '.join(wanted)}"
        )
    if whole and max_audio is not None and cost.audio > max_audio:
        return (
            f"the load sends up to {length(cost.audio)} of audio, but the limit is "
            f"{_MAX_AUDIO}={max_audio:g}s; raise this limit to at least "
            f"{math.ceil(cost.audio)}s, or shorten the load"
        )
    return None


def overload_refusal(*, here: bool, allowed: Collection[Harm]) -> str | None:
    """Return why a server may not get more load than its capacity; ``None`` if it may.

    ``here`` says that the server is on this machine, where every load is allowed.
    ``allowed`` are the values of ``--realtime-allow``.
    """
    if here or Harm.DISRUPTIVE in allowed:
        return None
    return (
        "the behaviour of the server beyond its capacity is not tested, since the "
        f"server is not on this machine; add {_ALLOW}=heavy,disruptive to test it"
    )
