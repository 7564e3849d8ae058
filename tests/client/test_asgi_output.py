"""The output of an application, divided by the tags that the child writes."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.client import asgi_output
from pytest_realtime_asr.client.asgi_output import TaggedOutput
from pytest_realtime_asr.client.child_server import SHOWN


def write(output: TaggedOutput, text: str) -> None:
    """Write to the file as the child does, at its end."""
    output.file.seek(0, 2)
    output.file.write(text.replace("|", "\x1e").encode())
    output.file.flush()


def test_parts_belong_to_sessions_across_reads() -> None:
    output = TaggedOutput()
    write(output, "starts\n|5|five\n||back")
    assert output.take() == "starts\nfive\nback"
    write(output, "ground\n|5|more")
    assert output.of_session(5) == "five\nmore"
    write(output, " of it\n|6|six\n")
    assert output.of_session(5) == "five\nmore of it\n"
    assert output.of_session(6) == "six\n"
    assert output.of_session(7) == ""
    assert output.take(sessions=False) == "ground\n"
    assert output.take() == ""
    write(output, "|7|the end")
    output.close()
    assert output.take() == "the end"
    output.close()


def test_only_the_last_part_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi_output, "KEPT", 2)
    output = TaggedOutput()
    line = "a line\n"
    write(output, f"|1|{line * SHOWN}|2|two|3|three")
    assert output.of_session(1) == ""
    assert output.of_session(3) == "three"
    first, *lines = output.take().splitlines()
    assert first == "[only the last part of the output]"
    assert len("\n".join(lines)) <= SHOWN
    assert lines[-1] == "twothree"
    output.close()
