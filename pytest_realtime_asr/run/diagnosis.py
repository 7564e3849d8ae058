"""The diagnosis of a target: what is known of a server before audio is sent to it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import greetings, probe
from pytest_realtime_asr.client.contact import Contact, contact
from pytest_realtime_asr.client.dialect_detection import AUTO, SHOWN, ways
from pytest_realtime_asr.client.target import Target
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.dialects import Dialect, can
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.text.messages import shortened
from pytest_realtime_asr.trace.records import Record, Sender, content


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found about a target, step by step.

    If a step failed, its field has the error; if a step was not tried, its field is
    ``None``.

    - ``health`` is the time in ms until the server answered ``GET /health``.
    - ``dialect`` is the name of the dialect. ``found`` says how it was detected, and is
      empty if the user named it.
    - ``contact`` is what one connection showed; ``first`` is the type of its first
      event, empty if there was none.
    - ``models`` are the names that the server lists; a server may have no list. The
      sessions use ``model``.
    - ``version`` is empty if the server names none.
    """

    target: Target
    health: float | Unreachable
    dialect: str | Unreachable | None = None
    found: str = ""
    contact: Contact | Unreachable | None = None
    first: str = ""
    models: tuple[str, ...] | Unreachable | None = None
    model: str | Unreachable | None = None
    version: str = ""

    @property
    def testable(self) -> bool:
        """Whether sessions can be opened with the server."""
        steps = (self.health, self.dialect, self.contact, self.model)
        return not any(each is None or isinstance(each, Unreachable) for each in steps)


def diagnose(run: Run, text: str) -> Diagnosis:
    """Ask the server of a target for all that it shows without audio.

    The number of requests is bounded, and so is the time of each. Raises LookupError
    for an unknown dialect.
    """
    servers, session = run.servers, run.config.session
    wait = run.config.server.wait

    def access(dialect: Dialect) -> Access:
        return servers.access(text, dialect, session.model)

    named = session.dialect != AUTO
    way = access(dialects.load(session.dialect)) if named else ways(access)[0]
    run.progress("asking the server whether it is up")
    began = time.monotonic()
    try:
        probe.health(way, wait=wait, progress=run.progress)
    except Unreachable as error:
        return Diagnosis(way.target, error)
    health = 1e3 * (time.monotonic() - began)
    run.progress("finding the dialect")
    try:
        dialect, found = servers.dialect(text, session.dialect)
    except Unreachable as error:
        return Diagnosis(way.target, health, error, models=_models(way))
    way = access(dialect)
    met, first = _met(run, dialect, way, wait=wait)
    run.progress("asking for the models")
    return Diagnosis(
        way.target,
        health,
        dialect.name,
        found,
        met,
        first,
        models=_models(way),
        model=None if isinstance(met, Unreachable) else _model(run, text, dialect),
        version=run.config.server.version or probe.version(way),
    )


def _met(
    run: Run, dialect: Dialect, access: Access, *, wait: float
) -> tuple[Contact | Unreachable, str]:
    """Return what a connection shows, or an error, and the type of its first event.

    The error says why there is no connection, or that the server does not begin as the
    dialect prescribes. The type is "" with an error, or if there is no first event.
    """
    run.progress("opening a connection")
    try:
        found = run.loop.run(contact(access, wait=wait))
    except Unreachable as error:
        return error, ""
    where, name = access.target.shown, dialect.name
    greets = can(dialect, Capability.GREETING)
    if found.first is None:
        if not greets:  # such a server need not send an event
            return found, ""
        patience = max(probe.GREETING, wait)
        what = f"{where}: {probe.sent_nothing(patience)}; {probe.PATIENCE}"
        return Unreachable(what), ""
    record = Record(Sender.SERVER, 0, *content(found.first))
    if dialect.greets(record) or not greets:
        return found, dialect.parse(record).move
    sent = shortened(run.redactor.clean(str(found.first)), SHOWN)
    what = (
        f"{where}: the first event was {sent!r}, but a server of the dialect {name} "
        "begins with another event"
    )
    if names := greetings.greeted(record):
        what += f"; use --realtime-dialect={names[0]}"
    return Unreachable(what), ""


def _models(access: Access) -> tuple[str, ...] | Unreachable:
    try:
        return probe.models(access)
    except Unreachable as error:
        return error


def _model(run: Run, text: str, dialect: Dialect) -> str | Unreachable:
    """Return the model that sessions use, or the error if there is none."""
    try:
        return run.servers.ask(text, dialect)[1]
    except Unreachable as error:
        return error
