"""The invalid frames that a server of vLLM's protocol should refuse.

If a misuse has several frames, each frame is one example of this misuse.
"""

from __future__ import annotations

from pytest_realtime_asr.dialects.vllm.events import APPEND, UPDATE
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.scenario_steps import Misuse

_COMMIT = "input_audio_buffer.commit"
PATH = "/home/somebody/secret/key.pem"  # not the path of a real user


def _append(audio: str) -> str:
    return f'{{"type":"{APPEND}","audio":"{audio}"}}'


MISUSES: tuple[Misuse, ...] = (
    *shared.misuses(
        "bad-json", "no-object", "deep-json", "duplicate-keys", "not-a-number"
    ),
    Misuse(
        "lone-surrogates",
        "an escaped unpaired surrogate in the type of an event or in a model's name",
        (
            '{"type":"no.\\ud800.event"}',
            f'{{"type":"{UPDATE}","model":"\\udfff"}}',
        ),
    ),
    *shared.misuses("composite-type", "huge-number", "empty-text"),
    *shared.misuses("no-type", "unknown-event"),
    Misuse(
        "foreign-events",
        "events of OpenAI's protocol",
        (
            '{"type":"input_audio_buffer.clear"}',
            '{"type":"transcription_session.update","session":{}}',
        ),
    ),
    Misuse(
        "append-without-audio", "an append without audio", (f'{{"type":"{APPEND}"}}',)
    ),
    Misuse(
        "append-wrong-type",
        "audio that is not a string",
        tuple(f'{{"type":"{APPEND}","audio":{v}}}' for v in ("5", "null", "[]", "{}")),
    ),
    Misuse(
        "path-in-audio",
        "audio that is an object with a path in it",
        (f'{{"type":"{APPEND}","audio":{{"file":"{PATH}"}}}}',),
    ),
    Misuse(
        "commit-wrong-type",
        "a commit whose `final` is neither true nor false",
        (f'{{"type":"{_COMMIT}","final":{{}}}}', f'{{"type":"{_COMMIT}","final":[]}}'),
    ),
    Misuse(
        "commit-not-boolean",
        "a commit whose `final` is a string or a number",
        tuple(f'{{"type":"{_COMMIT}","final":{v}}}' for v in ('"yes"', "1")),
    ),
    Misuse(
        "update-without-model",
        "a set-up without a model",
        (f'{{"type":"{UPDATE}"}}', f'{{"type":"{UPDATE}","session":{{"model":"a"}}}}'),
        configured=False,
    ),
    Misuse(
        "update-wrong-type",
        "a set-up with a model that is not a string",
        tuple(f'{{"type":"{UPDATE}","model":{value}}}' for value in ("5", "[]", "{}")),
        configured=False,
    ),
    Misuse(
        "unknown-model",
        "a set-up with an unknown model",
        (f'{{"type":"{UPDATE}","model":"no-such-model"}}',),
        configured=False,
    ),
    Misuse(
        "early-commit",
        "a commit before the set-up",
        (f'{{"type":"{_COMMIT}"}}',),
        configured=False,
    ),
    Misuse(
        "bad-base64",
        "audio with a length that base64 cannot have",
        (_append("AAAAA"), _append("A")),
    ),
    Misuse(
        "foreign-characters",
        "audio with characters outside base64",
        (_append("!!!!"), _append("AA*A-_ =")),
    ),
    Misuse("odd-bytes", "audio that ends in half a sample", (_append("AAAA"),)),
    Misuse("empty-audio", "audio without samples", (_append(""),)),
    Misuse(
        "odd-bytes-amid-speech",
        "audio that ends in half a sample, in the middle of an utterance",
        (_append("AAAA"),),
        speaking=True,
    ),
    *shared.misuses("unknown-event-amid-speech", "binary"),
)
