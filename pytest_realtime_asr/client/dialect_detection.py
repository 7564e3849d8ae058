"""Detection of the dialect of a server, by the first event that it sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Record, Sender

AUTO = "auto"  # in place of the name of a dialect: the dialect is detected
_KEY_REFUSED = (401, 403)  # HTTP statuses
SHOWN = 80  # characters of an unknown first event that a message quotes


class Discovery(msgspec.Struct, frozen=True):
    """The result of a detection: a dialect and the reason for it, or a failure.

    ``lost`` says why no dialect was found; it is empty if one was.
    """

    dialect: str = ""
    reason: str = ""
    lost: str = ""


def ways(access: Callable[[Dialect], Access]) -> list[Access]:
    """Return the different requests by which the installed dialects open a session."""
    found: dict[object, Access] = {}
    for name in dialects.installed():
        way = access(dialects.load(name))
        found.setdefault((way.target.websocket, *sorted(way.headers.items())), way)
    return list(found.values())


async def find(asked: Iterable[Access], redactor: Redactor) -> Discovery:
    """Open a session in each of these ways until the first event is a known one.

    Usually the first way is enough. A path on which the server opens a session and
    sends nothing is not tried again. The result contains no secrets of the redactor.
    """
    silent: set[str] = set()
    failures: list[str] = []
    opened = False  # whether a session was, so that naming the dialect may help
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
                    "if the key is right, this kind of server may expect it in another "
                    "header: --realtime-list=dialects lists the profiles"
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
            return Discovery(names[0], f"its first event was {event}")
        known = f"as in {' and '.join(names)}" if names else "as in no dialect"
        shown = redactor.clean(str(frame))[:SHOWN]
        failures.append(f"{where}: its first event was {shown!r}, {known}")
    reasons = redactor.clean("; ".join(dict.fromkeys(failures)))
    return Discovery(lost=f"{reasons}; {advice()}" if opened else reasons)


def advice() -> str:
    """Return what to do if the dialect is not known."""
    return (
        "name the dialect with --realtime-dialect=NAME (realtime_dialect in the ini "
        f"file, REALTIME_DIALECT); installed are: {', '.join(dialects.installed())}"
    )


def _first(frame: str | bytes) -> Record:
    if isinstance(frame, bytes):
        return Record(Sender.SERVER, 0, data=frame)
    return Record(Sender.SERVER, 0, frame)
