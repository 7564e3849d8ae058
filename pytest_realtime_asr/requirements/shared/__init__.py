"""Requirements on every server of realtime transcription, whatever its protocol.

The requirements are in groups, which a dialect adds to its own requirements. If a
requirement depends on the protocol, the dialect gives the clause of the requirement. If
needed, the dialect also gives a check of its own events.
"""

from pytest_realtime_asr.requirements.shared.clauses import HARM, READ, bug
from pytest_realtime_asr.requirements.shared.clients import binding_clients
from pytest_realtime_asr.requirements.shared.connections import HANDSHAKES, LIFE, MANY
from pytest_realtime_asr.requirements.shared.events import DISCLOSURE, EVENTS
from pytest_realtime_asr.requirements.shared.first_utterance import FIRST_UTTERANCE
from pytest_realtime_asr.requirements.shared.keeping_up import KEEPING_UP
from pytest_realtime_asr.requirements.shared.lost_words import LOST_WORDS
from pytest_realtime_asr.requirements.shared.quiet_noise import QUIET_NOISE
from pytest_realtime_asr.requirements.shared.refusals import IGNORED, misuses, refused
from pytest_realtime_asr.requirements.shared.robustness import AMID_SPEECH, JSON, SIZES
from pytest_realtime_asr.requirements.shared.selection import (
    misuses_for,
    requirements,
)
from pytest_realtime_asr.requirements.shared.set_ups import (
    BESIDE,
    SET_UPS,
    TWO_SET_UPS,
)
from pytest_realtime_asr.requirements.shared.settled_text import SETTLED_TEXT
from pytest_realtime_asr.requirements.shared.stating import SHARED, restated, stated
from pytest_realtime_asr.requirements.shared.usage import USAGE
from pytest_realtime_asr.requirements.shared.utterances import (
    EMPTY,
    LENGTHS,
    NEIGHBOURS,
    NO_LOSS,
    PAUSES,
    SAME_TEXT,
    TEXTS,
)

__all__ = [
    "AMID_SPEECH",
    "BESIDE",
    "DISCLOSURE",
    "EMPTY",
    "EVENTS",
    "FIRST_UTTERANCE",
    "HANDSHAKES",
    "HARM",
    "IGNORED",
    "JSON",
    "KEEPING_UP",
    "LENGTHS",
    "LIFE",
    "LOST_WORDS",
    "MANY",
    "NEIGHBOURS",
    "NO_LOSS",
    "PAUSES",
    "QUIET_NOISE",
    "READ",
    "SAME_TEXT",
    "SETTLED_TEXT",
    "SET_UPS",
    "SHARED",
    "SIZES",
    "TEXTS",
    "TWO_SET_UPS",
    "USAGE",
    "binding_clients",
    "bug",
    "misuses",
    "misuses_for",
    "refused",
    "requirements",
    "restated",
    "stated",
]
