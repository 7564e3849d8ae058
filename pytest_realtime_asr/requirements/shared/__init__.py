"""Requirements on every server of realtime transcription, whatever its protocol.

A dialect takes these groups into its own requirements. What depends on the protocol it
states with a clause of its own, and with a check of its own events where needed.
"""

from pytest_realtime_asr.requirements.shared.clauses import HARM, READ, bug
from pytest_realtime_asr.requirements.shared.clients import binding_clients
from pytest_realtime_asr.requirements.shared.connections import HANDSHAKES, LIFE, MANY
from pytest_realtime_asr.requirements.shared.events import DISCLOSURE, EVENTS
from pytest_realtime_asr.requirements.shared.refusals import IGNORED, misuses, refused
from pytest_realtime_asr.requirements.shared.robustness import AMID_SPEECH, JSON, SIZES
from pytest_realtime_asr.requirements.shared.stating import SHARED, restated, stated
from pytest_realtime_asr.requirements.shared.utterances import (
    EMPTY,
    LENGTHS,
    NEIGHBOURS,
    PAUSES,
    SAME_TEXT,
    TEXTS,
)

__all__ = [
    "AMID_SPEECH",
    "DISCLOSURE",
    "EMPTY",
    "EVENTS",
    "HANDSHAKES",
    "HARM",
    "IGNORED",
    "JSON",
    "LENGTHS",
    "LIFE",
    "MANY",
    "NEIGHBOURS",
    "PAUSES",
    "READ",
    "SAME_TEXT",
    "SHARED",
    "SIZES",
    "TEXTS",
    "binding_clients",
    "bug",
    "misuses",
    "refused",
    "restated",
    "stated",
]
