"""The plan of sessions: the server, the model, the pace and the time limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pytest_realtime_asr.client.announcement import ANNOUNCED
from pytest_realtime_asr.client.meter import Meter
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.dialects import Caller, Dialect
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.redaction import Redactor


class OptionsError(ValueError):
    """Raised for session options that the dialect cannot send to a server."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of a session in seconds.

    ``connect`` limits the connection attempt. ``ready`` limits the wait until the
    server is ready. ``silence`` is the idle timeout, which applies once all audio was
    sent. ``silence`` also limits the sending of one frame without audio. ``beyond`` is
    the time that an utterance may take in addition to the length of its audio.
    ``beyond`` also limits the sending of one frame of audio.
    """

    connect: float = 10.0
    ready: float = 10.0
    silence: float = 30.0
    beyond: float = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of sessions: the server, the model, the pace and the limits.

    ``pace`` is in seconds of audio per second; 0 is as fast as the socket accepts.
    ``chunk`` is in seconds. ``redactor`` removes secrets from everything that is
    written. ``rules`` are the requirements by which the server is judged. ``version``
    is the version that the server reports. ``ping_interval`` is the time in seconds
    between two pings that measure the round trip. ``found`` says how the dialect was
    detected; it is "" if the user named the dialect. ``jitter`` is the largest random
    delay in seconds that is added to a frame of audio, to imitate a mobile network;
    ``seed`` determines the delays. ``meter`` counts the audio that is sent. With
    ``keepalive``, a session sends the keepalive frames of the dialect while it is idle.
    ``replayed`` says that the server replays recorded sessions. ``announced`` is the
    digest of the first audio. A server that replays gets it in a header when the
    session opens. ``announced`` is empty if the audio is not known at that time.
    """

    dialect: Dialect
    access: Access
    model: str
    options: Mapping[str, object]
    pace: float = 1.0
    chunk: float = 0.1
    limits: Limits = Limits()
    redactor: Redactor = field(default=Redactor(), repr=False)
    rules: tuple[Requirement, ...] = field(default=(), repr=False)
    version: str = ""
    ping_interval: float = 1.0
    found: str = ""
    jitter: float = 0.0
    seed: int = 0
    meter: Meter = field(default_factory=Meter, repr=False, compare=False)
    keepalive: bool = True
    replayed: bool = False
    announced: str = ""

    @property
    def caller(self) -> Caller:
        """The client's side of a new session. Raises `OptionsError`."""
        return caller(self.dialect, self.model, self.options)


def asking(plan: Plan, caller: Caller) -> Access:
    """Return the plan's access to the server, with a session's query and headers."""
    access = plan.access
    target = replace(access.target, query=caller.query)
    headers = {ANNOUNCED: plan.announced} if plan.announced else {}
    return replace(access, target=target, session_headers={**caller.headers, **headers})


def caller(dialect: Dialect, model: str, options: Mapping[str, object]) -> Caller:
    """Return the client's side of a new session. Raises `OptionsError`."""
    try:
        inputs.sendable(options)
        return dialect.caller(model, options)
    except ValueError as error:
        raise OptionsError(
            f"the session options do not fit the dialect {dialect.name}: {error}"
        ) from error
