"""Scripts of random sessions, and the tests that are written from them."""

from __future__ import annotations

from typing import Any

from pytest_realtime_asr.conformance.random_script import (
    REFUSED,
    Await,
    Pause,
    Send,
    program,
)
from tests.support.packed import PACKED
from tests.support.random_scripts import (
    GRAMMAR,
)
from tests.support.servers import CLIP


def test_a_program_does_what_is_in_the_script() -> None:
    pcm = CLIP.audio.pcm
    script = (
        Send('{"type":"x"}'),
        Send(f'{{"a":"{"A" * 300}B{"[" * 99}","b":"\\n\\u00fc\'"}}'),
        Send("AAB=" * 20 + "".join(map(chr, range(300, 500)))),
        Send(""),
        Send(b""),
        Send(b"\0\1" * 800 + b'"ends'),
        Send(GRAMMAR.caller.append(pcm[640:6400]).decode(), speech=(640, 6400)),
        Send(PACKED.caller("", {}).append(pcm[640:6400]), speech=(640, 6400)),
        Send(pcm[640:6400], speech=(640, 6400)),
        Send("\udfff"),
    )
    sent: list[str | bytes] = []
    done: list[object] = []

    class Session:
        send_raw = staticmethod(sent.append)

        def expect(self, kind: str, *, timeout: float) -> None:
            done.append((kind, timeout))

        def __enter__(self) -> Session:
            return self

        def __exit__(self, *_: object) -> None:
            done.append("closed")

    class Realtime:
        def connect(self, *, configure: bool) -> Session:
            assert not configure
            return Session()

    text = program(
        (Pause(0.001), *script, Await(), Await("transcription.done")),
        speech=CLIP,
        about="what was found " * 20,
        limit=5.0,
        then=["done.append(corpus)"],
    )
    assert max(map(len, text.splitlines())) <= 90
    names: dict[str, Any] = {"done": done}
    exec(text, names)
    names["test_random_session"](Realtime(), {CLIP.id: CLIP})
    assert sent == [step.frame for step in script]
    assert done == [("transcription.done", 5.0), {CLIP.id: CLIP}, "closed"]
    waits = [line.strip() for line in text.splitlines() if "sleep" in line]
    assert waits == ["time.sleep(0.001)", f"time.sleep({REFUSED})"]
    assert len(text) < 4000  # neither repetitions nor speech are written out


def test_a_program_imports_only_what_it_needs() -> None:
    script = (Send("a"),)
    text = program(script, speech=CLIP, about="it", limit=1.0, then=())
    assert text == (
        "# it\n"
        "def test_random_session(realtime, corpus):\n"
        "    with realtime.connect(configure=False) as session:\n"
        '        session.send_raw("a")\n'
    )
    assert "pass\n" in program((), speech=CLIP, about="it", limit=1.0, then=())


def test_binary_speech_is_a_range_of_the_clip() -> None:
    script = (Send(CLIP.audio.pcm[2:9], speech=(2, 9)),)
    text = program(script, speech=CLIP, about="it", limit=1.0, then=())
    assert "session.send_raw(clip[2:9])" in text
    assert "base64" not in text


def test_speech_in_another_encoding_is_written_out() -> None:
    frame = CLIP.audio.pcm[:40].hex()
    text = program(
        (Send(frame, speech=(0, 40)),), speech=CLIP, about="it", limit=1.0, then=()
    )
    assert frame[:60] in text
