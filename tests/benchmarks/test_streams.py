"""What a number of paced streams costs."""

from __future__ import annotations

from benchmarks.clients import own_streams
from benchmarks.sink import sink
from benchmarks.streams import hold
from pytest_realtime_asr.client.loop import Loop


def test_a_level_counts_the_frames_that_all_streams_sent_together() -> None:
    loop = Loop()
    with sink() as url:
        streams = own_streams(url, 4, loop)
        level = loop.run(hold(streams, 0.3))
    loop.stop()
    assert [len(stream.late) for stream in streams] == [3] * 4
    inner = sorted(stream.late[1] / 1e6 for stream in streams)
    assert level.streams == 4
    assert (level.late_p50, level.late_p99) == (inner[2], inner[3])
    assert level.cpu > 0
