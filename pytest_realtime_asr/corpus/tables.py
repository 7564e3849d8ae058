"""Reads tables of text whose first row names the columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pytest_realtime_asr.corpus.description import LARGEST
from pytest_realtime_asr.corpus.utterance import CorpusError
from pytest_realtime_asr.text import inputs

Row = dict[str, str]


def rows(
    path: Path, *, separator: str, needed: tuple[str, ...]
) -> Iterator[tuple[str, Row]]:
    """Yield the place of each row of a table, and its cells by their column names.

    A place is a file and a line, such as ``clips.tsv:3``. Quotes enclose a cell only if
    the separator is a comma. A missing cell is empty. Raises `CorpusError` if the
    table cannot be read or lacks one of the ``needed`` columns.
    """
    text = inputs.text(path, most=LARGEST)
    quoted = separator == ","
    reader = csv.DictReader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        restval="",
        strict=True,
    )
    try:
        columns = reader.fieldnames or ()
        if missing := [name for name in needed if name not in columns]:
            raise CorpusError(
                f"{path}:1: there is no column {' or '.join(missing)} (the columns are "
                f"{', '.join(columns) or 'none'}); name the columns in the first line"
            )
        for row in reader:
            yield f"{path}:{reader.line_num}", row
    except csv.Error as error:
        raise CorpusError(
            f"{path}:{reader.reader.line_num}: {error}; write the table again"
        ) from error
