"""Detection of a server's dialect from the first event that the server sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Record, Sender

AUTO = "auto"  # the name given if the dialect is to be detected
_KEY_REFUSED = (401, 403)  # HTTP statuses
SHOWN = 80  # characters of an unknown first event that a message quotes


class Discovery(msgspec.Struct, frozen=True):
    """The result of a detection: the name of a dialect, or why none was found.

    ``reason`` says how the dialect was recognised. ``lost`` says why no dialect was
    found. Each of the three texts is empty if it does not apply.
    """

    dialect: str = ""
    reason: str = ""
    lost: str = ""


def ways(access: Callable[[Dialect], Access]) -> list[Access]:
    """Return the requests by which the installed dialects open a session.

    ``access`` returns the request of a dialect. A request that several dialects share
    is returned once.
    """
    found: dict[object, Access] = {}
    for name in dialects.installed():
        way = access(dialects.load(name))
        found.setdefault((way.target.websocket, *sorted(way.headers.items())), way)
    return list(found.values())


async def find(asked: Iterable[Access], redactor: Redactor) -> Discovery:
    """Detect the dialect by opening a session with each request in turn.

    The search ends at the first session whose first event belongs to one dialect only;
    this is usually the first session. If the server opens a session and sends nothing,
    the URL of that session is not tried again. ``redactor`` removes secrets from the
    result.
    """
    silent: set[str] = set()
    failures: list[str] = []
    opened = False  # whether a session opened; if so, the user may name the dialect
    for access in asked:
        where = access.target.shown
        if where in silent:
            continue
        try:
            frame = await probe.greeting(access)
        except Unreachable as error:
            failures.append(str(error))
            if error.status in _KEY_REFUSED and redactor:
                failures.append(
                    "if the key is right, this kind of server may expect the key in "
                    "another header; choose a profile (--realtime-list=dialects lists "
                    "the profiles)"
                )
            continue
        opened = True
        if frame is None:
            silent.add(where)
            failures.append(f"{where}: no event within {probe.GREETING:g} s")
            continue
        record = _first(frame)
        names = dialects.greeted(record)
        if len(names) == 1:
            event = dialects.load(names[0]).parse(record).move
            return Discovery(names[0], f"the first event was {event}")
        known = (
            f"which several dialects share ({', '.join(names)})"
            if names
            else "which no installed dialect sends first"
        )
        shown = redactor.clean(str(frame))[:SHOWN]
        failures.append(f"{where}: the first event was {shown!r}, {known}")
    reasons = redactor.clean("; ".join(dict.fromkeys(failures)))
    return Discovery(lost=f"{reasons}; {advice()}" if opened else reasons)


def advice() -> str:
    """Return the part of a message that says how to name the dialect."""
    return (
        "name the dialect with --realtime-dialect=NAME (realtime_dialect in the ini "
        f"file, REALTIME_DIALECT); choose from {', '.join(dialects.installed())}"
    )


def _first(frame: str | bytes) -> Record:
    """Return the record of the first frame that the server sent."""
    if isinstance(frame, bytes):
        return Record(Sender.SERVER, 0, data=frame)
    return Record(Sender.SERVER, 0, frame)
