"""Tables of the kinds of model tokens, and checks that no text has such tokens.

A token is allowed if the reference transcript has it too, for example if somebody
dictates markup. A label of a sound, such as ``[Music]``, is judged only in utterances
that are known to be speech, since the label may be right for music.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.latency import has_words
from pytest_realtime_asr.requirements.checks.text_search import Find, in_no_text


@dataclass(frozen=True, slots=True)
class TokenKind:
    """A kind of token, and the pattern that finds tokens of this kind.

    ``models`` names some models that have such tokens. ``only_in_speech`` says that the
    tokens are judged only in utterances that are known to be speech.
    """

    name: str
    pattern: re.Pattern[str]
    models: str
    only_in_speech: bool = False


def _kind(
    name: str, models: str, *patterns: str, only_in_speech: bool = False
) -> TokenKind:
    return TokenKind(name, re.compile("|".join(patterns)), models, only_in_speech)


CONTROL: Sequence[TokenKind] = (
    _kind(
        "a control token",
        "Whisper, Qwen3-ASR, SenseVoice, wav2vec 2.0",
        r"<\|[^|>]*\|?>",
        r"(?:language \w+)?<asr_text>",
        r"\[BLANK_AUDIO\]",
        r"\[(?:PAD|UNK)\]",
        r"</?s>",
    ),
)
"""The tokens that steer a model: language, task, start and end."""

_VOCABULARY = "unk pad blank blk eps epsilon mask bos eos sos sos/eos space sil spn nsn"
_TURNS = "eou eob eot eoc fin end endpoint turn sc"
_SOUNDS = (
    "music|musik|musique|m\u00fasica|\u97f3\u697d|\u97f3\u4e50|\uc74c\uc545|"
    "applause|laughter|laughs|laughing|noise|silence|sighs|sound|coughs|coughing|"
    "breathing|inaudible|unintelligible|no speech|speaking (?:in )?foreign language"
)
VOCABULARY: Sequence[TokenKind] = (
    _kind(
        "a vocabulary token",
        "sentencepiece and word-piece models of NeMo, k2 and ESPnet",
        rf"(?i:<(?:{'|'.join(_VOCABULARY.split())})>)",
        r"<0x[0-9A-Fa-f]{2}>",  # a byte of a character
        r"\[(?:CLS|SEP|MASK|BOS|EOS|/?INST)\]",
        "\u2047",  # the text of <unk> in sentencepiece
    ),
    _kind(
        "a word-piece mark",
        "sentencepiece (U+2581), BERT (##), subword-nmt (@@), GPT-2 (U+0120)",
        "\u2581",
        r"(?<!\S)##\w",
        r"(?<=[^\W\d_])@@(?!\S)",
        "(?<=[a-z])\u0120",
    ),
    _kind(
        "a token of the stream",
        "Voxtral ([STREAMING_WORD]), Parakeet (<EOU>), Soniox (<fin>)",
        r"\[(?!BLANK_AUDIO\])[A-Z]+(?:_[A-Z]+)+\]",
        rf"(?i:<(?:{'|'.join(_TURNS.split())})>)",
    ),
    _kind(
        "a language token",
        "NeMo (<en-US>), Qwen3-ASR (language English)",
        r"<[a-z]{2,3}-[A-Z]{2}>",
        r"\blanguage (?:None|[A-Z][a-z]+)(?=[A-Z\u3040-\u9fff])",
    ),
    _kind(
        "a time stamp",
        "whisper.cpp",
        r"\d\d:\d\d[.,]\d{3} --> ",
    ),
    _kind(
        "a label of a sound",
        "Whisper",
        rf"(?i:\[ ?(?:{_SOUNDS})[^\]\[]{{0,20}}\])",
        rf"(?i:\( ?(?:{_SOUNDS})[^()]{{0,20}}\))",
        "[\u266a\u266b]",  # notes
        only_in_speech=True,
    ),
)
"""Tokens other than `CONTROL`: word pieces, ends of turns, languages, times, sounds."""


def _find(kinds: Sequence[TokenKind]) -> Find:
    def find(text: str, spoken: Utterance | None) -> tuple[str, int] | None:
        reference = "" if spoken is None else spoken.text.casefold()
        for kind in kinds:
            if kind.only_in_speech and not has_words(reference):
                continue
            for found in kind.pattern.finditer(text):
                if found.group().casefold() not in reference:
                    return f"{kind.name} {found.group()!r}", found.start()
        return None

    return find


no_control_tokens = in_no_text(_find(CONTROL))
"""A check that no text has a control token of the model."""
no_vocabulary_tokens = in_no_text(_find(VOCABULARY))
"""A check that no text has a token of `VOCABULARY`, such as <|en|> or [Music]."""
