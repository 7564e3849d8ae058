"""The frames of a session, without a server."""

import pytest
from steno_dialect import STENO

from pytest_realtime_asr.dialect_api import (
    Commit,
    Final,
    Heard,
    Record,
    Request,
    Sender,
    Settled,
    Usage,
)


@pytest.mark.parametrize(
    ("data", "move"),
    [(bytes(320), "audio"), (b"", "end-of-audio"), (b"\0", "malformed")],
)
def test_a_binary_frame(data, move):
    assert STENO.parse(Record(Sender.CLIENT, at=0, data=data)).move == move


def test_both_sides_agree():
    caller = STENO.caller("m", {"language": "en"})
    request = Request.of(f"{STENO.path}?{caller.query}", {})
    assert STENO.refusal(request, ["m"]) is None
    server = STENO.server(["m"], request=request)
    reader = STENO.reader()

    def read(sender, frame):
        key = "text" if isinstance(frame, str) else "data"
        record = Record(sender, at=0, **{key: frame})
        return reader.step(record, STENO.parse(record))

    audio = caller.append(bytes(320))
    assert server.hear(audio).audio == audio
    assert [type(each) for each in read(Sender.CLIENT, audio)] == [Heard]
    found = [
        each
        for added in ("open", " the", " door")
        for frame in server.partial(added, 0)
        for each in read(Sender.SERVER, frame)
    ]
    assert [each.added for each in found] == ["open", " the", " door"]
    (end,) = caller.finish()
    assert server.hear(end).finish
    assert [type(each) for each in read(Sender.CLIENT, end)] == [Commit]
    found = [
        each
        for frame in server.final("open the door", Usage(), 0)
        for each in read(Sender.SERVER, frame)
    ]
    assert found == [Settled(0, 0, 13), Final(0, 0, "open the door")]


def test_an_unknown_model_is_refused():
    refused = STENO.refusal(Request.of("/steno?model=other", {}), ["m"])
    assert refused.status == 400


@pytest.mark.parametrize(
    ("options", "said"),
    [({"speed": 2}, "speed is not an option"), ({"interim": "no"}, "interim: 'no' is")],
)
def test_wrong_options(options, said):
    with pytest.raises(ValueError, match=said):
        STENO.caller("m", options)
