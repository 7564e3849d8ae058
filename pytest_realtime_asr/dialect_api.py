"""The names with which another package implements a dialect.

A dialect imports from this module alone; the modules in which the names are defined may
move. The names for faults of the fake server are in the module `fault_api`, which loads
the fake server. They are not in this module, since a run against a real server does not
need the fake server.
"""

from pytest_realtime_asr.dialects import (
    NO_REQUEST,
    Caller,
    Dialect,
    HttpRefusal,
    Keepalive,
    Operations,
    Reaction,
    Reader,
    Request,
    Server,
    TimedServer,
    Traits,
)
from pytest_realtime_asr.dialects.segments import Segments
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.order import Table, order
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Level,
    Outcome,
    Proof,
    Requirement,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
    each,
)
from pytest_realtime_asr.requirements.scenario_steps import (
    Clip,
    Exercise,
    Misuse,
    Send,
    Speak,
    Step,
    Until,
    Wait,
)
from pytest_realtime_asr.trace.json_events import (
    Malformed,
    Shapes,
    Typed,
    Unknown,
    Whole,
    encode,
)
from pytest_realtime_asr.trace.recording import Flaw, Flawed, Message, Recording
from pytest_realtime_asr.trace.records import Frame, Record, Sender, Trace
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Endpoint,
    Event,
    Final,
    Heard,
    Partial,
    Refusal,
    Settled,
    Timeline,
    Usage,
    WordTime,
    common_prefix,
)

__all__ = [
    "NO_REQUEST",
    "Caller",
    "Capability",
    "Check",
    "Clip",
    "Commit",
    "Dialect",
    "Endpoint",
    "Event",
    "Evidence",
    "Exercise",
    "Final",
    "Flaw",
    "Flawed",
    "Frame",
    "Heard",
    "HttpRefusal",
    "Keepalive",
    "Level",
    "Malformed",
    "Message",
    "Misuse",
    "Operations",
    "Outcome",
    "Part",
    "Partial",
    "Proof",
    "Reaction",
    "Reader",
    "Record",
    "Recording",
    "Refusal",
    "Request",
    "Requirement",
    "Satisfied",
    "Segments",
    "Send",
    "Sender",
    "Server",
    "SessionCheck",
    "Settled",
    "Shapes",
    "Speak",
    "Step",
    "Table",
    "TimedServer",
    "Timeline",
    "Trace",
    "Traits",
    "Typed",
    "Undecided",
    "Unknown",
    "Until",
    "Usage",
    "Violated",
    "Wait",
    "Whole",
    "WordTime",
    "checks",
    "common_prefix",
    "each",
    "encode",
    "order",
    "shared",
]
