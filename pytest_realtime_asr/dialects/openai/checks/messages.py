"""Selects the messages of one session by their sender and kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Sender

M = TypeVar("M")


def sent_by(
    sender: Sender, recording: Recording, *kinds: type[M]
) -> Iterator[tuple[int, M]]:
    """Yield each message of these kinds from a sender, with the index of its record."""
    records = zip(recording.trace.records, recording.messages, strict=True)
    for index, (record, message) in enumerate(records):
        if record.sender is sender and isinstance(message, kinds):
            yield index, message


def from_server(recording: Recording, *kinds: type[M]) -> list[tuple[int, M]]:
    """Return the server's messages of these kinds, each with its record's index."""
    return list(sent_by(Sender.SERVER, recording, *kinds))


def from_client(recording: Recording, *kinds: type) -> list[int]:
    """Return the indexes of the client's records whose message has one of ``kinds``."""
    return [index for index, _ in sent_by(Sender.CLIENT, recording, *kinds)]


def indexes(recording: Recording, *kinds: type) -> list[int]:
    """Return the indexes of the server's records whose message has one of ``kinds``."""
    return [index for index, _ in sent_by(Sender.SERVER, recording, *kinds)]


def by_hand(recording: Recording) -> bool:
    """Return whether the client sent a hand-written frame, such as an invalid one."""
    return any(record.raw for record in recording.trace.records)
