"""Which dialect a server speaks, by what it says first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Record, Sender

AUTO = "auto"  # in place of a dialect's name: the dialect is detected
_KEYS = (401, 403)  # what a server answers to a key that it does not take
SHOWN = 80  # characters of what a server said that are shown


class Discovery(msgspec.Struct, frozen=True):
    """The dialect of a server and the ``reason``, or why there is none.

    ``lost`` is empty where there is a ``dialect``.
    """

    dialect: str = ""
    reason: str = ""
    lost: str = ""


def ways(access: Callable[[Dialect], Access]) -> list[Access]:
    """How the installed dialects ask for a session, each way once."""
    found: dict[object, Access] = {}
    for name in dialects.installed():
        way = access(dialects.load(name))
        found.setdefault((way.target.websocket, *sorted(way.headers.items())), way)
    return list(found.values())


async def find(asked: Iterable[Access], redactor: Redactor) -> Discovery:
    """Open a session in each of these ways until the server says something known.

    Mostly the first is enough. A server that takes a session and is silent is not asked
    on the same path again. What is found is without the secrets of the ``redactor``.
    """
    silent: set[str] = set()
    came: list[str] = []
    stood = False  # whether the server took a session, so that a name may help
    for access in asked:
        where = access.target.shown
        if where in silent:
            continue
        try:
            frame = await probe.greeting(access)
        except Unreachable as error:
            came.append(str(error))
            if error.status in _KEYS and redactor:
                came.append(
                    "if the key is right, this kind of server may want it in another "
                    "way: --realtime-list=dialects names the profiles"
                )
            continue
        stood = True
        if frame is None:
            silent.add(where)
            came.append(f"{where}: it said nothing within {probe.GREETING:g} s")
            continue
        record = _first(frame)
        names = dialects.greeted(record)
        if len(names) == 1:
            said = dialects.load(names[0]).parse(record).move
            return Discovery(names[0], f"it said {said} first")
        meant = f"as {' and '.join(names)} do" if names else "as no dialect does"
        shown = redactor.clean(str(frame))[:SHOWN]
        came.append(f"{where}: it said {shown!r} first, {meant}")
    told = redactor.clean("; ".join(dict.fromkeys(came)))
    return Discovery(lost=f"{told}; {name_it()}" if stood else told)


def name_it() -> str:
    """What to do where the dialect is not known."""
    return (
        "name the dialect with --realtime-dialect=NAME (realtime_dialect in the ini "
        f"file, REALTIME_DIALECT); there are: {', '.join(dialects.installed())}"
    )


def _first(frame: str | bytes) -> Record:
    if isinstance(frame, bytes):
        return Record(Sender.SERVER, 0, data=frame)
    return Record(Sender.SERVER, 0, frame)
