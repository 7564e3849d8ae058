"""Detection of a server's dialect from the first event that the server sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import greetings, probe
from pytest_realtime_asr.client.greetings import Likeness
from pytest_realtime_asr.client.transport import KEY_REFUSED, Access, Unreachable
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.text.messages import shortened
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Record, Sender, content

AUTO = "auto"  # the name given if the dialect is to be detected
SHOWN = 200  # characters of an unknown first event that a message quotes
DIFFERENCES = 4  # that a message lists


class Discovery(msgspec.Struct, frozen=True):
    """The result of a detection: the name of a dialect, or why none was found.

    ``reason`` says how the dialect was recognised. ``lost`` says why no dialect was
    found. A text that does not apply is empty.
    """

    dialect: str = ""
    reason: str = ""
    lost: str = ""


def ways(access: Callable[[Dialect], Access]) -> list[Access]:
    """Return the requests by which the installed dialects open a session.

    ``access`` returns the request of a dialect. A request that several dialects share
    is returned once. A dialect whose servers send no first event cannot be recognised,
    so its request is left out.
    """
    found: dict[object, Access] = {}
    silent = greetings.silent()
    for name in dialects.installed():
        if name not in silent:
            way = access(dialects.load(name))
            request = (way.target.url, *sorted(way.headers.items()))
            found.setdefault(request, way)
    return list(found.values())


async def find(
    asked: Iterable[Access], redactor: Redactor, *, wait: float = 0.0
) -> Discovery:
    """Detect the dialect by opening a session with each request in turn.

    The search ends when the first event of a server belongs to exactly one dialect. One
    session is usually enough. If the server opens a session and sends nothing, the URL
    of that session is not tried again. ``redactor`` removes secrets from the result.
    ``wait`` is the time in seconds within which a server must start and send its first
    event.
    """
    silent: set[str] = set()
    refusals: list[Unreachable] = []
    failures: list[str] = []
    strange: set[tuple[str, str]] = set()  # URLs and types of unknown first events
    opened = False  # whether a session opened; if so, the user may name the dialect
    patience = max(probe.GREETING, wait)
    for access in asked:
        where = access.target.shown
        if where in silent:
            continue
        try:
            frame = await probe.greeting(access, wait=wait)
        except Unreachable as error:
            refusals.append(error)
            continue
        opened = True
        if frame is None:
            silent.add(where)
            failures.append(
                f"{where}: {probe.sent_nothing(patience)}; {probe.PATIENCE}"
            )
            continue
        record = Record(Sender.SERVER, 0, *content(frame))
        names = greetings.greeted(record)
        if len(names) == 1:
            return Discovery(names[0], _reason(names[0], record))
        # Other headers seldom change this event; it is described once.
        if (kind := (where, greetings.kind(record))) not in strange:
            strange.add(kind)
            failures.append(f"{where}: {_unknown(record, names, redactor)}")
    if not opened:
        failures += _refused(refusals, has_key=bool(redactor))
    reasons = redactor.clean("; ".join(dict.fromkeys(failures)))
    # A server that sent an unknown first event speaks none of these dialects.
    if not strange and (without := silent_dialects()):
        reasons += f"; {without}"
    return Discovery(lost=f"{reasons}; {advice()}" if opened else reasons)


def _refused(refusals: Iterable[Unreachable], *, has_key: bool) -> Iterator[str]:
    """Yield why no session could be opened; ``has_key`` says whether a key was sent.

    A server refuses an unknown path with HTTP 404, or often with HTTP 403. Such a
    refusal is left out if another refusal says more about the server.
    """
    for statuses in ((HTTPStatus.NOT_FOUND,), (HTTPStatus.FORBIDDEN,)):
        others = [each for each in refusals if each.status not in statuses]
        refusals = others or refusals
    for refusal in refusals:
        yield str(refusal)
        if refusal.status in KEY_REFUSED and has_key:
            yield (
                "if the key is right, this kind of server may expect the key in "
                "another header; choose a profile (--realtime-list=dialects lists "
                "the profiles)"
            )


def advice() -> str:
    """Return the part of a message that says how to name the dialect."""
    return (
        "name the dialect with --realtime-dialect=NAME (realtime_dialect in the ini "
        f"file, REALTIME_DIALECT); choose from {', '.join(dialects.installed())}"
    )


def silent_dialects() -> str:
    """Return the part of a message that names the dialects without a first event.

    The text is empty if no such dialect is installed.
    """
    names = " or ".join(greetings.silent())
    if not names:
        return ""
    return f"a server that waits for the client to begin may speak {names}"


def _reason(name: str, record: Record) -> str:
    """Return how a dialect was recognised by its first event."""
    event = dialects.load(name).parse(record).move
    own, profile, _ = name.partition(":")
    shared = profile and dialects.load(own).greets(record)
    like = " with the fields of this profile" if shared else ""
    return f"the first event was {event}{like}"


def _unknown(record: Record, names: tuple[str, ...], redactor: Redactor) -> str:
    """Return why a first event does not identify exactly one dialect."""
    if record.text is not None:  # before anything is cut, which may divide a secret
        record = replace(record, text=redactor.clean(record.text))
    frame = record.data if record.text is None else record.text
    first = f"the first event was {shortened(redactor.clean(str(frame)), SHOWN)!r}"
    if names:
        return f"{first}, which several dialects share ({', '.join(names)})"
    first += "; no installed dialect begins with this event"
    if kind := greetings.unsupported(record):
        first += (
            f"; {kind} sends such an event, but no installed dialect supports {kind}"
        )
    if near := greetings.nearest(record):
        first += f"; {likeness(near)}"
    return first


def likeness(near: Likeness) -> str:
    """Return how a server's first event differs from the nearest dialect's first event.

    Only the first `DIFFERENCES` differences are listed.
    """
    listed = ", ".join(near.differences[:DIFFERENCES])
    more = len(near.differences) - DIFFERENCES
    rest = f" and {more} more" if more > 0 else ""
    return f"the nearest dialect is {near.name}, but {listed}{rest}"
