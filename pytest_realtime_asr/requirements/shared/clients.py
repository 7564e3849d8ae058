"""Requirements on the client of any protocol: order, fields and types of events."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.order import Table, order
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Requirement,
    SessionCheck,
    each,
)
from pytest_realtime_asr.trace.records import Sender


def binding_clients(
    table: Table, *, start: str, clauses: tuple[str, str, str]
) -> tuple[Requirement, ...]:
    """Return the requirements on the client.

    ``clauses`` are the sources for the order, the fields and the types of events.
    """
    ordered, formed, known = clauses
    return (
        _binding(
            "client-order",
            "the client keeps the documented order",
            ordered,
            order(table, start=start),
        ),
        _binding(
            "client-well-formed",
            "every frame of the client is an event with the fields of its type",
            formed,
            checks.well_formed(Sender.CLIENT),
        ),
        _binding(
            "client-known-events",
            "the client sends only events of the protocol",
            known,
            checks.known_events(Sender.CLIENT, ()),
        ),
    )


def _binding(id: str, title: str, clause: str, check: SessionCheck) -> Requirement:
    return Requirement(
        id, title, Level.MUST, clause, each(check), binds=Sender.CLIENT, passive=True
    )
