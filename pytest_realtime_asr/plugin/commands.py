"""The commands that run instead of the tests if an option is set."""

from __future__ import annotations

import warnings
from shutil import get_terminal_size

import msgspec
import pytest
from hypothesis.errors import HypothesisSideeffectWarning

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.conformance import selftest
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.fake.process import DEFAULT_DIALECT, FakeError
from pytest_realtime_asr.plugin import pytest_internals
from pytest_realtime_asr.plugin.judging import again
from pytest_realtime_asr.plugin.options import (
    BY_NAME,
    CALIBRATION,
    GROUPS,
)
from pytest_realtime_asr.plugin.raw_options import RawOptions
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.report import calibration as calibration_text
from pytest_realtime_asr.report import diagnosis as diagnosis_text
from pytest_realtime_asr.report import layout, listing
from pytest_realtime_asr.report.diagnosis import Examined
from pytest_realtime_asr.report.progress import show_status
from pytest_realtime_asr.run import calibration, diagnosis
from pytest_realtime_asr.run.calibration import Calibration
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.text.messages import printable


def run(name: str, config: pytest.Config) -> int:
    """Run the command called ``name`` and return its exit code. Raises UsageError."""
    commands = {
        "selftest": _selftest,
        "calibrate": _calibrate,
        "doctor": _doctor,
        "list": _list,
    }
    return commands[name](State(config, RawOptions(config)))


def _selftest(state: State) -> int:
    """Run the self-test of the suite, print the scores and return the exit code."""
    named = state.settings.dialect
    try:
        with warnings.catch_warnings():
            # Hypothesis warns that it slows the start of the tests, but none run here.
            warnings.simplefilter("ignore", HypothesisSideeffectWarning)
            scores = selftest.selftests(
                None if named == AUTO else named, progress=show_status
            )
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None
    show_status("")
    for score in scores:
        print(*score.unproven, str(score), sep="\n")
    return int(any(score.unproven for score in scores))


def _calibrate(state: State) -> int:
    """Measure how far the client's own times are off; print and store the result."""
    named = state.settings.dialect
    try:
        found = calibration.run(
            DEFAULT_DIALECT if named == AUTO else named, progress=show_status
        )
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None
    except RuntimeError as error:
        raise pytest.UsageError(f"--realtime-calibrate: {error}") from None
    finally:
        show_status("")
    print(*calibration_text.table(found), calibration_text.line(found), sep="\n")
    pytest_internals.configure(state.config)  # this makes pytest's cache
    if not _keep(state.config, found):
        print(
            "the calibration is not kept, since pytest's cache is off; run without "
            "-p no:cacheprovider"
        )
    return 0


def _keep(config: pytest.Config, found: Calibration) -> bool:
    """Write a calibration to pytest's cache; return false if there is no cache."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return False
    values = msgspec.to_builtins(found)
    cache.set(CALIBRATION, {"line": calibration_text.line(found), **values})
    return True


def _doctor(state: State) -> int:
    """Examine the target, and print what was found; return 1 if tests cannot run."""
    if not state.settings.target:
        raise pytest.UsageError(
            "--realtime-doctor: there is no target; pass --realtime-target=URL. A "
            "target from the fixture realtime_target is known only in tests; if it is "
            "an application, serve it (uvicorn MODULE:NAME) and pass its URL"
        )
    corpus: Corpus | str
    try:
        corpus = state.corpus()
    except pytest.UsageError as error:
        corpus = str(error)
    run = Run(state.settings.run, state.corpus, shared=None)
    run.progress = show_status
    try:
        url = state.targets.url(state.settings.target, state.settings.dialect)
        server = diagnosis.diagnose(run, url)
        show_status("measuring how exact the times on this machine are")
        clock = _clock(run)
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None
    except InputError as error:  # for example of the command that prints the key
        raise pytest.UsageError(str(error)) from None
    finally:
        run.stop()
        state.stop()
        show_status("")
    found = Examined(
        server=server,
        config=state.settings.run.server,
        variable=state.options.text("api-key-env") or BY_NAME["api-key-env"].default,
        corpus=corpus,
        calibration=clock,
        command=again(
            ["pytest"], state.options.line, ["--realtime-conformance"], run.redactor
        ),
    )
    width = max(layout.LEAST, get_terminal_size().columns)
    for line in diagnosis_text.screen(found, width=width):
        print(printable(run.redactor.clean(line)))
    return int(not found.testable)


def _clock(run: Run) -> Calibration | str:
    """Return a calibration from a few sessions, or the reason why there is none."""
    try:
        return calibration.calibrate(
            run.loop, dialects.load(DEFAULT_DIALECT), sessions=calibration.CONCURRENCY
        )
    except (RuntimeError, FakeError) as error:
        return f"not known: {error}"


def _list(state: State) -> int:
    """Print the list that ``--realtime-list`` names."""
    settings, asked = state.settings, state.config.getoption("realtime_list")
    try:
        match asked:
            case "requirements":
                lines = listing.requirements(
                    settings.dialect,
                    level=settings.suite.level,
                    pinned=settings.run.pinned,
                )
            case "dialects":
                lines = listing.installed_dialects()
            case "metrics":
                lines = listing.metrics()
            case "options":
                lines = listing.options(GROUPS)
            case "faults":
                lines = listing.faults()
            case _:
                *others, last = listing.LISTS
                known = f"{', '.join(others)} and {last}"
                raise ValueError(f"there is no list {asked!r}; choose from {known}")
    except (ValueError, LookupError) as error:
        raise pytest.UsageError(f"--realtime-list: {error.args[0]}") from None
    print("\n".join(lines))
    return 0
