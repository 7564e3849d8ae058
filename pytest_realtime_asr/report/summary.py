"""Describes the server before the tests of a run, and the results after the tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.report import terminal
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.text.number_format import length


def introduce(
    run: Run,
    text: str,
    corpus: Iterable[str],
    *,
    perturb: Iterable[str] = (),
    replayed: str = "",
) -> str:
    """Ask the server of a target for its model, and return a line about the server.

    The line also names the corpus, and the chain of perturbations if there is one.
    ``replayed`` is the target if recorded sessions are replayed; otherwise it is "". If
    the server cannot be reached, the line says so. Raises LookupError for an unknown
    dialect.
    """
    spoken = f"corpus {run.config.redactor.message(' '.join(corpus))}"
    if replayed:
        spoken = f"{replayed} replayed, {spoken}"
    if chain := ",".join(perturb):
        spoken += f" perturbed by {chain}"
    try:
        dialect, reason = run.servers.dialect(text, run.config.session.dialect)
        where, model = run.servers.ask(text, dialect)
    except Unreachable:  # the first test says why
        where = text.partition("?")[0]
        return f"{where}: the server cannot be tested, see below; {spoken}"
    except ValueError as error:
        return f"{error}, {spoken}"
    found = f" ({reason})" if reason else ""
    return f"{where}, {dialect.name}{found}, model {model}, {spoken}"


def audio(seconds: float, limit: float | None) -> str:
    """Return a line about the ``seconds`` of audio that a run has sent; "" for 0 s.

    ``limit`` is the largest allowed number of seconds, or ``None``.
    """
    if not seconds:
        return ""
    most = "" if limit is None else f", of at most {length(limit)}"
    return f"sent {length(seconds)} of audio{most}"


def table(rows: Iterable[Mapping[str, object]], *, width: int) -> list[str]:
    """Return the lines of the table of tests, from rows in builtin types.

    ``width`` is the number of columns of the terminal.
    """
    found = msgspec.convert(list(rows), list[terminal.Row])
    return terminal.table(found, width=width)
