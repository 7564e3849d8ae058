"""Links the clauses of requirements to their sources: documents, code, bug reports."""

from __future__ import annotations

import re

_GITHUB = "https://github.com"
_OWNERS = {
    "CrispASR": "CrispStrobe",
    "FunASR": "modelscope",
    "WhisperFusion": "collabora",
    "WhisperLive": "collabora",
    "WhisperLiveKit": "QuentinFuxa",
    "elevenlabs-python": "elevenlabs",
    "langchain_dart": "davidmigloz",
    "openclaw": "openclaw",
    "pipecat": "pipecat-ai",
    "sglang-omni": "sgl-project",
    "sherpa-onnx": "k2-fsa",
    "vllm": "vllm-project",
    "vllm-omni": "vllm-project",
    "vosk-server": "alphacep",
    "wenet": "wenet-e2e",
    "wyoming-faster-whisper": "OHF-Voice",
}
"""The owners of repositories, by repository name; clauses give only the name."""

_SOURCE = re.compile(
    r"(?P<thread>(?P<repository>[\w.-]+(?:/[\w.-]+)?)#(?P<number>\d+))"
    r"|(?P<rfc>RFC (?P<rfc_number>\d+), section (?P<section>[\d.]*\d))"
    r"|(?P<served>vLLM (?P<release>\d+\.\d+\.\d+)(?:, (?P<file>[\w/]+\.py))?)"
    r"|(?P<omni>SGLang-Omni (?P<omni_release>\d+\.\d+\.\d+)"
    r"(?:, (?P<omni_file>[\w/]+\.py))?)"
    r"|SGLang (?P<sglang>\d+\.\d+\.\d+)"
    r"|(?P<alphacep>vosk-server|vosk-api)(?: (?P<alphacep_commit>[0-9a-f]{7}))?,"
    r" (?P<alphacep_path>[\w/-]+(?:\.\w+)?)"
    r"|(?P<typed>openai-python (?P<version>[\d.]*\d), (?P<types>types/realtime"
    r"(?:/\w+\.py)?))"
    r"|(?P<listen>Deepgram docs, (?P<page>[\w-]+))"
    r"|(?P<sdk>deepgram-sdk (?P<sdk_version>[\d.]*\d), (?P<sdk_types>listen/v1/types))"
    r"|(?P<clone>whisperlivekit (?P<clone_version>[\d.]*\d), \w+\.py)"
    r"|(?P<guide>OpenAI, guide to realtime transcription)"
    r"|(?P<uax>UAX #9, section 2\.6)"
    r"|(?P<xml>XML 1\.0, section 2\.2)"
    r"|(?P<harm>harm to every client)"
)


def linked(clause: str, *, levels: str) -> str:
    """Return a clause in Markdown, with a link at each source that it names.

    ``levels`` is the address of the page that explains the levels. The words
    "harm to every client" in a clause get a link to this page.
    """
    return _SOURCE.sub(lambda found: f"[{found[0]}]({_address(found, levels)})", clause)


def _address(found: re.Match[str], levels: str) -> str:
    match _kind(found):
        case "thread":
            name = found["repository"]
            whole = name if "/" in name else f"{_OWNERS[name]}/{name}"
            return f"{_GITHUB}/{whole}/issues/{found['number']}"
        case "rfc":
            page = f"https://www.rfc-editor.org/rfc/rfc{found['rfc_number']}"
            return f"{page}#section-{found['section']}"
        case "served":
            tag = f"{_GITHUB}/vllm-project/vllm/%s/v{found['release']}/vllm/entrypoints"
            file = found["file"]
            return f"{tag % 'blob'}/{file}" if file else tag % "tree"
        case "omni":
            tag = f"{_GITHUB}/sgl-project/sglang-omni/%s/v{found['omni_release']}"
            file = found["omni_file"]
            return f"{tag % 'blob'}/sglang_omni/{file}" if file else tag % "tree"
        case "sglang":
            tag = f"{_GITHUB}/sgl-project/sglang/tree/v{found['sglang']}"
            return f"{tag}/python/sglang/srt/entrypoints/openai/realtime"
        case "alphacep":
            path, commit = found["alphacep_path"], found["alphacep_commit"] or "master"
            kind = "blob" if "." in path else "tree"
            return f"{_GITHUB}/alphacep/{found['alphacep']}/{kind}/{commit}/{path}"
        case "typed":
            kind = "blob" if found["types"].endswith(".py") else "tree"
            tag = f"{_GITHUB}/openai/openai-python/{kind}/v{found['version']}"
            return f"{tag}/src/openai/{found['types']}"
        case "listen":
            page = _REFERENCE.get(found["page"], f"docs/{found['page']}")
            return f"https://developers.deepgram.com/{page}"
        case "sdk":
            tag = f"{_GITHUB}/deepgram/deepgram-python-sdk/tree/v{found['sdk_version']}"
            return f"{tag}/src/deepgram/{found['sdk_types']}"
        case "clone":
            return f"https://pypi.org/project/whisperlivekit/{found['clone_version']}/"
        case "guide":
            return "https://platform.openai.com/docs/guides/realtime-transcription"
        case "uax":
            return "https://www.unicode.org/reports/tr9/#Explicit_Directional_Isolates"
        case "xml":
            return "https://www.w3.org/TR/xml/#charsets"
    return levels


_REFERENCE = {  # the pages of Deepgram's documents outside the guides
    "listen-streaming": "reference/speech-to-text/listen-streaming",
    "errors": "reference/errors",
}
_KINDS = (
    *("thread", "rfc", "served", "omni", "sglang", "alphacep", "typed"),
    *("listen", "sdk", "clone", "guide", "uax", "xml", "harm"),
)


def _kind(found: re.Match[str]) -> str:
    return next(each for each in _KINDS if found[each])
