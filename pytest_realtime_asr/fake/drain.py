"""How a fake server ends its open sessions in a shutdown."""

from __future__ import annotations

from dataclasses import dataclass

GOING_AWAY = 1001  # a close code
SERVICE_RESTART = 1012  # a close code


@dataclass(frozen=True, slots=True)
class Drain:
    """How a server ends all its sessions; times are in seconds.

    Each session may finish its open utterances, but only within ``grace`` seconds. It
    then stays open for ``linger`` more seconds, and the server closes it with ``code``.
    """

    grace: float = 10.0
    linger: float = 0.0
    code: int = GOING_AWAY
