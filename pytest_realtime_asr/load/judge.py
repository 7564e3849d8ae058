"""Judges the sessions of a shard, in a process of low priority.

Judging takes milliseconds for each session. It runs in its own process, since a judging
thread in the process that sends the audio would delay the frames. If the operating
system suspended the judging thread while that thread held the lock of the interpreter,
the sending thread would have to wait.

``python -m pytest_realtime_asr.load.judge`` reads pickled values on standard input: a
`Shard`, then a `Sent` for each of its sessions, and a `ShardEnd` or a `ShardLost`. It
writes pickled messages on standard output: a `Row` for each session, and then a
`ShardEnd` or a `ShardLost`. When its standard input closes, the process judges the
sessions that it has read, and ends. So the sessions of a worker that was killed are not
lost.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from array import array
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from pytest_realtime_asr.load import session
from pytest_realtime_asr.load.connection import plan
from pytest_realtime_asr.load.evidence import Evidence
from pytest_realtime_asr.load.executor import Message, Shard, ShardEnd, ShardLost
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.session import Sent
from pytest_realtime_asr.metrics.pacing import audio_delays
from pytest_realtime_asr.stats import quantile

Judged = Shard | Sent | ShardEnd | ShardLost

_NICE = 10  # added to the niceness of the process
_TAIL = 0.99


class Judge:
    """Judges the sessions of one shard."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._plan = plan(shard.connection)
        self._evidence = Evidence(every=shard.every_trace)
        self._delays = array("d")  # ns, of all frames of audio

    def row(self, sent: Sent) -> Row:
        """Return the row of a session, with its trace if the trace must be kept."""
        turn = sent.turn
        clip = self._shard.clips[turn.clip]
        id = clip.utterance.id
        if turn.variation is not None:
            clip = turn.variation(clip)
        take = session.transcription(sent, clip, self._plan)
        row = session.row(sent, take, clip=id, worker=self._shard.worker)
        self._delays.extend(audio_delays(take.timeline))
        return self._evidence.add(row, take.dumps, drawn=turn.drawn)

    def end(self, end: ShardEnd) -> ShardEnd:
        """Return a copy of a worker's report that includes ``late`` and ``worst``."""
        late = quantile(self._delays, _TAIL) / 1e6 if self._delays else 0.0
        return replace(end, late=late, worst=self._evidence.worst)


def judged(values: Iterator[Judged]) -> Iterator[Message]:
    """Yield the messages about the shards and sessions in ``values``."""
    judge: Judge | None = None
    for value in values:
        match value:
            case Shard():
                judge = Judge(value)
            case Sent():
                assert judge is not None
                yield judge.row(value)
            case ShardEnd():
                assert judge is not None
                yield judge.end(value)
            case ShardLost():
                yield value


def read(stream: BinaryIO) -> Iterator[Judged]:
    """Yield the pickled values of a stream, until it ends or is cut off."""
    while True:
        try:
            yield pickle.load(stream)
        except (EOFError, pickle.UnpicklingError):
            return


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers
    if hasattr(os, "nice"):
        os.nice(_NICE)
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a dialect may print
    for message in judged(read(sys.stdin.buffer)):
        try:
            pickle.dump(message, messages, pickle.HIGHEST_PROTOCOL)
            messages.flush()
        except BrokenPipeError:
            os._exit(1)  # at once: nobody reads the messages any more
