"""Tests of help texts as Markdown."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.report.help_text import marked, sentence


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a plain text, with a comma", "a plain text, with a comma"),
        ("such as gpu=H100; see --label", "such as `gpu=H100`; see `--label`"),
        ("the server's own (PATH.jsonl)", "the server's own (`PATH.jsonl`)"),
        ("0.0.0.0 is one, :: another", "`0.0.0.0` is one, `::` another"),
        ('a limit, such as "wer <= 12%".', "a limit, such as `wer <= 12%`."),
        ("a command, such as 'read key'", "a command, such as `read key`"),
        (
            'such as {"a": "b"}, or http(s)://HOST',
            'such as `{"a": "b"}`, or `http(s)://HOST`',
        ),
        ("of all lists: one, two", "of all lists: one, two"),
    ],
)
def test_what_a_user_types_is_code(text: str, shown: str) -> None:
    assert marked(text) == shown


def test_a_sentence_begins_with_a_capital_letter_and_ends_with_a_dot() -> None:
    assert sentence("list the options") == "List the options."
