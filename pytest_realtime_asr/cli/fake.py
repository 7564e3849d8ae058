"""The command ``fake``: runs a fake server until a signal ends it.

The first SIGINT or SIGTERM lets open utterances finish. The second ends the server at
once. With ``--lifeline``, the end of standard input also ends the server at once.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import os
import signal
import socket
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from websockets.asyncio.server import Server

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake import recordings
from pytest_realtime_asr.fake.capacity import Capacity, CapacityMode
from pytest_realtime_asr.fake.config import FakeConfig, Timing
from pytest_realtime_asr.fake.faults import having, lacking
from pytest_realtime_asr.fake.faults.registry import Needs, known
from pytest_realtime_asr.fake.process import DEFAULT_DIALECT
from pytest_realtime_asr.fake.recognisers.cached import CachedRecogniser
from pytest_realtime_asr.fake.recognisers.recogniser import Recogniser
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser
from pytest_realtime_asr.fake.recordings import REPLAYED
from pytest_realtime_asr.fake.replay import Recordings
from pytest_realtime_asr.fake.server import HOST, Fake
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.verdicts.limits import parse_duration

# Addresses on which a server listens on all networks, and one at which it is reached
_REACHED = {"0.0.0.0": HOST, "::": "::1"}

# Options that change the speech or the behaviour of a server that replays nothing
_OF_SPEECH = (
    "recogniser",
    "corpus",
    "word_delay",
    "final_delay",
    "fault",
    "capacity",
    "variety",
    "session_limit",
)

_MOST = 1_000_000  # the highest capacity that can be asked for

HELP = "run a fake server for realtime speech recognition, with or without faults"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.set_defaults(run=lambda options: asyncio.run(_serve(options)))
    _add_speech(parser)
    _add_replay(parser)
    _add_behaviour(parser)
    _add_connection(parser)


def _add_speech(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--dialect",
        metavar="NAME[:PROFILE]",
        help=f"the protocol of the server (default {DEFAULT_DIALECT}, or the protocol "
        "of the traces)",
    )
    add(
        "--recogniser",
        choices=("scripted", "pocketsphinx"),
        help="scripted, the default, recognises the audio of a corpus; pocketsphinx is "
        "a real recogniser",
    )
    add(
        "--corpus",
        action="append",
        metavar="NAME|PATH",
        help="a corpus of the scripted recogniser (repeatable; default: all bundled "
        "corpora)",
    )
    add(
        "--word-delay",
        type=_seconds,
        metavar="TIME",
        help="the time, such as 300ms, from the audio of a word to the partial that "
        "contains the word",
    )
    add(
        "--final-delay",
        type=_seconds,
        metavar="TIME",
        help="the time, such as 250ms, from the commit to the final",
    )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--replay",
        type=Path,
        metavar="DIR",
        help="send the recorded answers of the traces in this folder; the other "
        "options about speech or behaviour then have no effect",
    )
    add(
        "--replay-timing",
        choices=[each.value for each in Timing],
        help="the delay of the recorded answers: recorded, the default, keeps the "
        "recorded delays; with none, each answer is sent at once",
    )


def _add_behaviour(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--model",
        action="append",
        metavar="NAME",
        help="the name of a model that the server has (repeatable; default: the name "
        "of the recogniser)",
    )
    add(
        "--session-limit",
        type=_positive_seconds,
        metavar="TIME",
        help="the time after which the server ends a session (default 60min)",
    )
    add(
        "--fault",
        action="append",
        default=[],
        type=_fault,
        metavar="NAME",
        help="a fault of the server (repeatable); the command `list faults` says what "
        "each does, and in which dialects",
    )
    add(
        "--capacity",
        type=_capacity,
        metavar="N",
        help="the number of utterances that the server can recognise properly at the "
        "same time (default: any number)",
    )
    add(
        "--capacity-mode",
        choices=[mode.value for mode in CapacityMode],
        help="the behaviour beyond the capacity: an utterance waits (queue, the "
        "default), a further session is refused with HTTP 503 (refuse), all utterances "
        "become slow (slow), the server exits (die), words are lost (text), or fewer "
        "partials are sent (less)",
    )
    add("--seed", type=int, help="the seed of the random session ids")
    add(
        "--server-version",
        metavar="TEXT",
        help="the version that GET /version returns (default: the version of the "
        "dialect); if there is no version, or if TEXT is empty, the route does not "
        "exist",
    )
    add(
        "--variety",
        type=int,
        metavar="SEED",
        help="vary each session in ways that the protocol allows; SEED determines the "
        "variations",
    )


def _add_connection(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--host",
        default=HOST,
        metavar="ADDRESS",
        help=f"the address to listen on (default {HOST}, which only this machine "
        "reaches); 0.0.0.0 is every IPv4 address of this machine, and :: is every "
        "address",
    )
    add(
        "--port",
        type=_port,
        default=8000,
        help="the port to listen on; 0 takes a free port (default 8000)",
    )
    add(
        "--api-key-env",
        metavar="VARIABLE",
        help="require the API key that this environment variable contains",
    )
    add("--tls-cert", metavar="FILE", help="use TLS, with this certificate")
    add("--tls-key", metavar="FILE", help="the private key of the certificate")
    add(
        "--lifeline",
        action="store_true",
        help="stop the server when standard input closes",
    )


def _port(text: str) -> int:
    try:
        return inputs.whole(text, 0, 65535)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _capacity(text: str) -> int:
    try:
        return inputs.whole(text, 1, _MOST)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    try:
        return parse_duration(text) / 1e3
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive_seconds(text: str) -> float:
    found = _seconds(text)
    if not found:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a positive time; give a time above 0"
        )
    return found


def _fault(text: str) -> str:
    try:
        faults = known()
    except LookupError as error:
        raise argparse.ArgumentTypeError(str(error.args[0])) from error
    if text not in faults:
        near = difflib.get_close_matches(text, faults, n=3, cutoff=0.0)
        raise argparse.ArgumentTypeError(
            f"there is no fault {text!r}; the closest names are {', '.join(near)}"
        )
    return text


async def _serve(options: argparse.Namespace) -> int:
    if sys.stdout is None and options.port == 0:
        raise ValueError(
            "--port 0: the chosen port cannot be printed, since standard output is "
            "closed; name a port"
        )
    real = options.recogniser == "pocketsphinx"
    found = None if options.replay is None else recordings.find(options.replay)
    usual = DEFAULT_DIALECT if found is None or options.dialect else found.dialect
    dialect = dialects.load(options.dialect or usual)
    _refuse_without_effect(options, dialect)
    recorded = None if found is None else recordings.load(found, dialect)
    capacity = None
    if options.capacity is not None:
        mode = CapacityMode(options.capacity_mode or CapacityMode.QUEUE)
        capacity = Capacity(options.capacity, mode)
    config = FakeConfig(
        dialect=dialect,
        models=tuple(options.model or [_source(options)]),
        word_delay=_default(options.word_delay, 0.0 if real else 0.3),
        final_delay=_default(options.final_delay, 0.0 if real else 0.25),
        faults=tuple(options.fault),
        key=_key(options.api_key_env),
        seed=options.seed,
        version=_version(options.server_version, recorded),
        variety=options.variety,
        limit=_default(options.session_limit, 3600.0),
        capacity=capacity,
        recordings="" if recorded is None else str(options.replay),
        timing=Timing(options.replay_timing or Timing.RECORDED),
    )
    tls = _tls(options.tls_cert, options.tls_key)
    draining, over = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        (over if draining.is_set() else draining).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told)
    if options.lifeline:
        if sys.stdin is None:
            raise ValueError(
                "--lifeline: standard input is closed; omit the option, or keep "
                "standard input open"
            )
        try:
            loop.add_reader(sys.stdin.fileno(), _hang_up, over)
        except OSError as error:
            raise ValueError(
                f"--lifeline: standard input cannot be watched ({error.strerror}); "
                "give a pipe or a terminal, not a file"
            ) from error
    async with AsyncExitStack() as stack:
        source: Recogniser | Recordings
        if recorded is None:
            source = recogniser = await _recogniser(options)
            stack.push_async_callback(recogniser.close)
        else:
            source = recorded
        fake = Fake(config, source)
        listening = fake.listen(host=options.host, port=options.port, tls=tls)
        try:
            server = await stack.enter_async_context(listening)
        except OSError as error:
            errno = None if isinstance(error, socket.gaierror) else error.errno
            why = os.strerror(errno) if errno else str(error.strerror or error)
            other = "" if options.host == HOST else "another --host, "
            raise OSError(
                f"--port: the server cannot listen on {_bracketed(options.host)}:"
                f"{options.port} ({why}); choose {other}another port, or 0 for any "
                "free port"
            ) from error
        port = next(iter(server.sockets)).getsockname()[1]
        scheme = "http" if tls is None else "https"
        host = _bracketed(_REACHED.get(options.host, options.host))
        print(f"{scheme}://{host}:{port}", flush=True)
        await _ended(fake, server, draining, over)
    return 0


async def _ended(
    fake: Fake, server: Server, draining: asyncio.Event, over: asyncio.Event
) -> None:
    """Wait until ``over`` is set, or until the server has drained.

    The server begins to drain when ``draining`` is set.
    """

    async def drained() -> None:
        await draining.wait()
        await fake.drain(server)

    ends = {asyncio.create_task(drained()), asyncio.create_task(over.wait())}
    done, others = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()


def _source(options: argparse.Namespace) -> str:
    """Return the name of the server's model for a command without ``--model``."""
    if options.replay is not None:
        return REPLAYED
    return options.recogniser or "scripted"


def _version(given: str | None, recorded: Recordings | None) -> str | None:
    """Return the version that the server shows, by default the recorded version."""
    return recorded.version if given is None and recorded is not None else given


def _refuse_without_effect(options: argparse.Namespace, dialect: Dialect) -> None:
    """Raise ValueError if an option has no effect together with the other options."""
    if options.replay is None and options.replay_timing is not None:
        raise ValueError(
            "--replay-timing: has no effect without --replay; add --replay DIR, or "
            "omit the timing"
        )
    for name in _OF_SPEECH if options.replay is not None else ():
        if getattr(options, name) not in (None, []):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{option}: has no effect with --replay, which sends recorded answers; "
                f"omit {option}"
            )
    if options.recogniser == "pocketsphinx" and options.corpus:
        raise ValueError(
            "--corpus: has no effect with --recogniser pocketsphinx, which recognises "
            "any speech; omit --corpus"
        )
    if options.capacity_mode is not None and options.capacity is None:
        raise ValueError(
            "--capacity-mode: has no effect without --capacity; add --capacity N, or "
            "omit the mode"
        )
    for name in options.fault:
        if known()[name].needs is Needs.CAPACITY and options.capacity is None:
            raise ValueError(
                f"--fault {name}: has no effect without --capacity; add --capacity N, "
                "or omit the fault"
            )
        if (needs := lacking(name, dialect)) is not None:
            names = having(name)
            other = f", or use --dialect {' or '.join(names)}" if names else ""
            raise ValueError(
                f"--fault {name}: has no effect, since the dialect {dialect.name} has "
                f"no {needs.value}; omit the fault{other}"
            )


def _bracketed(host: str) -> str:
    """Return a host as a URL shows it: an IPv6 address gets brackets."""
    return f"[{host}]" if ":" in host else host


async def _recogniser(options: argparse.Namespace) -> Recogniser:
    if options.recogniser == "pocketsphinx":
        # This module needs an optional extra of the package.
        from pytest_realtime_asr.fake.recognisers.pocketsphinx import (
            PocketsphinxRecogniser,
        )

        return await PocketsphinxRecogniser.start()
    names = options.corpus or [f"bundled:{name}" for name in corpus.BUNDLED]
    utterances = [utterance for name in names for utterance in corpus.load(name)]
    return CachedRecogniser(ScriptedRecogniser(utterances))


def _default(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _key(variable: str | None) -> str:
    if variable is None:
        return ""
    if not os.environ.get(variable):
        raise ValueError(
            f"--api-key-env: the environment variable {variable} is not set; "
            "set it to the key"
        )
    return os.environ[variable]


def _tls(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise ValueError(
                "--tls-key: a key needs its certificate; name the certificate with "
                "--tls-cert"
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        files = (
            f"{certificate} with {key}" if key else f"{certificate} without a --tls-key"
        )
        raise ValueError(f"--tls-cert: cannot load {files}: {error}") from error
    return context


def _hang_up(over: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        over.set()
