"""Clauses are linked to their sources."""

from __future__ import annotations

import re

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.report.sources import linked

GITHUB = "https://github.com"
VLLM = f"{GITHUB}/vllm-project/vllm"
# Reasons that need no source.
OWN = (
    "a transcript does not depend on",
    "a client that adds up the usage figures",
    "a client that sets a session up twice",
    "if a server accepts an unknown model",
    "half the gain lowers the level by",
    "text that comes before the audio makes",
    "the punctuation of an utterance",
)


@pytest.mark.parametrize("name", dialects.installed())
def test_each_clause_has_a_link_or_is_a_rule_of_this_project(name: str) -> None:
    for each in dialects.load(name).requirements:
        text = linked(each.clause, levels="levels.md")
        assert "](http" in text or "](levels.md)" in text or text.startswith(OWN), text
        bare = re.sub(r"\[[^]]*\]\([^)]*\)", "", text)
        assert not re.search(r"#\d|RFC|openai-python|\.py\b", bare), text


@pytest.mark.parametrize(
    ("clause", "address"),
    [
        (
            "vLLM 0.33.0, speech_to_text/realtime/protocol.py: each id is random",
            f"{VLLM}/blob/v0.33.0/vllm/entrypoints/speech_to_text/realtime/protocol.py",
        ),
        ("vLLM 0.16.0 checks the model", f"{VLLM}/tree/v0.16.0/vllm/entrypoints"),
        ("bug reports: vllm#33962 (read)", f"{VLLM}/issues/33962"),
        ("bug reports: k2-fsa/sherpa-onnx#5", f"{GITHUB}/k2-fsa/sherpa-onnx/issues/5"),
        (
            "openai-python 3.57.0, types/realtime/realtime_error.py: code",
            f"{GITHUB}/openai/openai-python/blob/v3.57.0/src/openai/types/realtime/"
            "realtime_error.py",
        ),
        (
            "openai-python 3.57.0, types/realtime: the types of events",
            f"{GITHUB}/openai/openai-python/tree/v3.57.0/src/openai/types/realtime",
        ),
        (
            "RFC 6455, section 7.4.1: 1009 for",
            "https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1",
        ),
        (
            "Deepgram docs, finalize: the server",
            "https://developers.deepgram.com/docs/finalize",
        ),
        (
            "Deepgram docs, errors: 400",
            "https://developers.deepgram.com/reference/errors",
        ),
        (
            "deepgram-sdk 7.17.0, listen/v1/types (read)",
            f"{GITHUB}/deepgram/deepgram-python-sdk/tree/v7.17.0/src/deepgram/listen/"
            "v1/types",
        ),
        (
            "whisperlivekit 0.2.26, deepgram_compat.py (read)",
            "https://pypi.org/project/whisperlivekit/0.2.26/",
        ),
        (
            "SGLang 0.5.23 ends the session",
            f"{GITHUB}/sgl-project/sglang/tree/v0.5.23/python/sglang/srt/entrypoints/"
            "openai/realtime",
        ),
        (
            "vosk-server 1ef2052, websocket/asr_server.py: eof is answered",
            f"{GITHUB}/alphacep/vosk-server/blob/1ef2052/websocket/asr_server.py",
        ),
        (
            "vosk-server, client-samples/javascript: JSON.parse",
            f"{GITHUB}/alphacep/vosk-server/tree/master/client-samples/javascript",
        ),
        (
            "vosk-api, src/recognizer.cc: conf",
            f"{GITHUB}/alphacep/vosk-api/blob/master/src/recognizer.cc",
        ),
        ("harm to every client", "levels.md"),
    ],
)
def test_the_address_of_a_link(clause: str, address: str) -> None:
    assert re.findall(r"\]\(([^)]*)\)", linked(clause, levels="levels.md")) == [address]
