"""Files, folders and audio of a user that cannot be used, and the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from pytest_realtime_asr import audio, corpus
from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.corpus import CorpusError
from pytest_realtime_asr.requirements import known_failures
from pytest_realtime_asr.verdicts import budget_file
from tests.hostile import Case, message

DEEP = b"[" * 100_000
DIGITS = b"9" * 5000
SILENT = {"audio_filepath": "a.wav", "text": ""}


def loaded(folder: Path, name: str = "") -> str:
    """Return the message that refuses this corpus."""
    return message(CorpusError, lambda: corpus.load(folder / name))


def lines(id: str, does: str, content: bytes, *says: str) -> Case:
    """Return the row of a manifest beside a sound of 0.5 s."""

    def ask(folder: Path) -> str:
        audio.write(folder / "a.wav", audio.silence(0.5))
        (folder / "m.jsonl").write_bytes(content)
        return loaded(folder, "m.jsonl")

    return Case(id, f"a manifest {does}", ("m.jsonl:", *says), 10, ask)


def row(**fields: object) -> bytes:
    """Return a line of a manifest."""
    return json.dumps({**SILENT, **fields}).encode()


def folder(id: str, does: str, make: Callable[[Path], object], *says: str) -> Case:
    """Return the row of a folder of audio files."""

    def ask(folder: Path) -> str:
        make(folder)
        return loaded(folder)

    return Case(id, does, says, 10, ask)


def pair(name: str, text: bytes = b"") -> Callable[[Path], object]:
    """Make a sound with a text beside it."""

    def make(folder: Path) -> None:
        audio.write(folder / f"{name}.wav", audio.silence(0.1))
        (folder / f"{name}.txt").write_bytes(text)

    return make


def twins(folder: Path) -> None:
    pair("a")(folder)
    audio.write(folder / "a.flac", audio.silence(0.1))


def named_in_bytes(folder: Path) -> None:
    sound = audio.silence(0.1)
    audio.write(folder / "a.wav", sound)
    (folder / "a.wav").rename(os.fsdecode(os.fsencode(folder) + b"/\xff.wav"))
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt")).write_text("")


def listening(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "a.wav"))
    (folder / "a.txt").write_text("")


def unreadable(folder: Path) -> str:
    """Return the message on a subfolder that this user may not read."""
    pair("a")(folder)
    (folder / "b").mkdir()
    inner = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return inner(path)

    with mock.patch("os.scandir", scandir):  # root may read anything
        return loaded(folder)


def wave(rate: int = 16_000, *, samples: bytes = bytes(320)) -> bytes:
    """Return a WAV file of 16-bit mono."""
    fields = struct.pack("<IHHIIHH", 16, 1, 1, rate, (2 * rate) % 2**32, 2, 16)
    body = b"WAVEfmt " + fields + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flac(folder: Path) -> bytes:
    """Return a FLAC file whose head states 2**35 frames."""
    audio.write(folder / "sound.flac", audio.silence(0.5))
    content = bytearray((folder / "sound.flac").read_bytes())
    content[21] |= 0x08  # the highest of the four bits before the last 32
    return bytes(content)


def sound(id: str, does: str, make: Callable[[Path], bytes], *says: str) -> Case:
    """Return the row of an audio file."""

    def ask(folder: Path) -> str:
        (folder / "a.wav").write_bytes(make(folder))
        return message(AudioError, lambda: audio.read(folder / "a.wav"))

    return Case(id, f"an audio file {does}", ("a.wav: ", *says), 10, ask)


def toml(
    id: str, read: Callable[[Path], object], does: str, content: bytes, *says: str
) -> Case:
    """Return the row of a TOML file."""

    def ask(folder: Path) -> str:
        (folder / "x.toml").write_bytes(content)
        return message(ValueError, lambda: read(folder / "x.toml"))

    return Case(id, f"a TOML file {does}", ("x.toml", *says), 10, ask)


def piped(read: Callable[[Path], object]) -> Callable[[Path], str]:
    """Ask for a named pipe to be read."""

    def ask(folder: Path) -> str:
        os.mkfifo(folder / "pipe.jsonl")
        return message(ValueError, lambda: read(folder / "pipe.jsonl"))

    return ask


def run(*arguments: str) -> str:
    """Return the standard error of the command line, which must fail."""
    told = io.StringIO()
    code: object
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code
    assert code in (1, 2), code
    return told.getvalue().strip().splitlines()[-1]  # argparse shows the usage first


def command(id: str, does: str, *arguments: str, says: str) -> Case:
    """Return the row of a command that needs no file."""
    return Case(id, does, (says,), 10, lambda folder: run(*arguments))


def report(id: str, does: str, content: bytes, *says: str) -> Case:
    """Return the row of a conformance report."""

    def ask(folder: Path) -> str:
        (folder / "r.json").write_bytes(content)
        return run("report", "badge", str(folder / "r.json"))

    return Case(
        id, f"a conformance report {does}", ("error: ", "r.json", *says), 5, ask
    )


def taken(folder: Path) -> str:
    """Start the fake server on a port that is in use."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        return run(
            "fake", "--port", str(busy.getsockname()[1]), "--corpus", "bundled:odd"
        )


MANIFESTS = (
    lines(
        "manifest-too-deep",
        "has a field that is nested too deeply",
        b'{"other": ' + DEEP,
        "m.jsonl:1: ",
        "nested too deeply",
    ),
    lines(
        "manifest-utf16",
        "is UTF-16 of an odd length",
        '{"a": 1}'.encode("utf-16")[:-1],
        "save it as UTF-8",
    ),
    lines(
        "manifest-latin1", "is Latin-1", b"\n\n\xe9", "m.jsonl:3: the text is not UTF-8"
    ),
    lines(
        "manifest-nan",
        "has a duration that is no number",
        row().replace(b"}", b', "duration": NaN}'),
        "JSON is malformed",
    ),
    lines(
        "manifest-digits",
        "has a number of 5,000 digits",
        row().replace(b"}", b', "id": ' + DIGITS + b"}"),
        "out of range",
    ),
    lines("manifest-offset", "has an offset below 0", row(offset=-1), "select a part"),
    lines("manifest-list", "has a list for a text", row(text=[]), "Expected `str`"),
    lines(
        "manifest-nul",
        "names a file with a NUL",
        row(audio_filepath="a\0b"),
        "null byte",
    ),
    lines(
        "manifest-long-path",
        "names a file that is too long",
        row(audio_filepath="a" * 5000),
        "File name too long",
    ),
    lines(
        "manifest-device",
        "names a device as its audio",
        row(audio_filepath="/dev/zero"),
        "is a device",
    ),
    lines(
        "manifest-twice", "has an id twice", row() + b"\n" + row(), "is already used in"
    ),
    Case(
        "corpus-a-pipe",
        "the corpus is a named pipe",
        ("pipe.jsonl: is not a corpus",),
        5,
        piped(corpus.load),
    ),
)
FOLDERS = (
    folder("folder-empty", "the folder is empty", lambda folder: None, "no utterance"),
    folder(
        "folder-latin1",
        "a text is Latin-1",
        pair("a", b"caf\xe9"),
        "a.txt:1: the text is not UTF-8",
        "save it as UTF-8",
    ),
    folder("folder-twins", "two files have one id", twins, "is already used in"),
    folder("folder-not-utf8", "a file's name is not UTF-8", named_in_bytes, "\\udcff"),
    folder("folder-socket", "an audio file is a socket", listening, "is a socket"),
    folder(
        "folder-loop",
        "an audio file is a link to itself",
        lambda folder: (folder / "a.wav").symlink_to("a.wav"),
        "there is no a.txt beside this audio file",
    ),
    Case(
        "folder-unreadable",
        "a folder in the corpus cannot be read",
        ("/b: Permission denied; make this folder readable",),
        5,
        unreadable,
    ),
    folder(
        "librispeech-latin1",
        "a transcript is Latin-1",
        lambda folder: (folder / "1-2.trans.txt").write_bytes(b"a\nb\xe9"),
        "1-2.trans.txt:2: the text is not UTF-8",
    ),
    folder(
        "librispeech-long-id",
        "a transcript has a very long id",
        lambda folder: (folder / "1-2.trans.txt").write_text("a" * 5000 + " b"),
        "1-2.trans.txt:1: ",
        "File name too long",
    ),
)
SOUNDS = (
    sound("audio-empty", "is empty", lambda _: b"", "is an empty file"),
    sound("audio-text", "is a text", lambda _: b"RIFF" * 9, "cannot be read as audio"),
    sound("audio-silent", "has no frames", lambda _: wave(samples=b""), "0 frames"),
    sound("audio-cut", "is cut short", lambda _: wave()[:-99], "99 bytes"),
    sound(
        "audio-rate", "states 10**9 Hz", lambda _: wave(10**9), "a rate of 1000000000"
    ),
    sound(
        "audio-long", "states 2**35 frames", flac, "frames, which is more than a day"
    ),
)
TABLES = (
    toml(
        "budgets-too-deep",
        budget_file.read,
        "is too deep",
        b"a = " + DEEP,
        "too deeply",
    ),
    toml(
        "budgets-dotted",
        budget_file.read,
        "has a key of 100,000 parts",
        b"a = 1\n" + b"a." * 100_000 + b"a = 1",
        "x.toml:2: a key has more than 100 dots",
    ),
    toml(
        "budgets-digits",
        budget_file.read,
        "has 5,000 digits",
        b"a = " + DIGITS,
        "digits",
    ),
    toml(
        "budgets-latin1",
        budget_file.read,
        "is Latin-1",
        b"\na = '\xe9'",
        ":2: the text is not UTF-8",
    ),
    toml(
        "budgets-nan", budget_file.read, "has no number", b"a = nan", "a is not a limit"
    ),
    toml(
        "known-too-deep",
        known_failures.read,
        "is too deep",
        b"a = " + DEEP,
        "too deeply",
    ),
    toml(
        "known-a-number",
        known_failures.read,
        "has a number",
        b"known = 3",
        "write [[known]]",
    ),
    toml(
        "known-of-numbers",
        known_failures.read,
        "has numbers",
        b"known = [3]",
        "write [[known]]",
    ),
    toml(
        "known-version",
        known_failures.read,
        "has a version of 5,000 digits",
        b'[[known]]\nid="a"\nreason="b"\nissue="c"\nuntil=2027-01-31\nversion="<'
        + DIGITS
        + b'"',
        "cannot be read; write it as in '<0.34'",
    ),
    Case(
        "budgets-a-pipe",
        "budgets: a pipe",
        ("a named pipe",),
        5,
        piped(budget_file.read),
    ),
    Case(
        "known-a-pipe",
        "known: a pipe",
        ("a named pipe",),
        5,
        piped(known_failures.read),
    ),
    Case(
        "known-a-device",
        "the list of known failures is a device without end",
        ("/dev/zero: this path is a device",),
        5,
        lambda folder: message(
            ValueError, lambda: known_failures.read(Path("/dev/zero"))
        ),
    ),
)
COMMANDS = (
    report("report-too-deep", "is too deep", b'{"a":' + DEEP, "nested too deeply"),
    report(
        "report-latin1", "is not UTF-8", b'{"a": "\xe9"}', "not a conformance report"
    ),
    report("report-a-list", "is a list", b"[]", "Expected `object`"),
    command(
        "report-absent",
        "a report that does not exist",
        "report",
        "badge",
        "x.json",
        says="no such file",
    ),
    command(
        "report-a-folder",
        "a folder in place of a report",
        "report",
        "matrix",
        "/",
        says="/: this path is a folder",
    ),
    command(
        "port-digits",
        "a port in other digits",
        "fake",
        "--port",
        "²",
        says="'²' is not",
    ),
    command("port-high", "a high port", "fake", "--port", "65536", says="to 65535"),
    command(
        "port-long",
        "a port of 5,000 digits",
        "fake",
        "--port",
        "9" * 5000,
        says="to 65535",
    ),
    command(
        "fake-dialect",
        "a dialect that is not installed",
        "fake",
        "--dialect",
        "klingon",
        says="choose from",
    ),
    command(
        "fake-model-not-utf8",
        "a model that is not UTF-8",
        *("fake", "--port", "0", "--model", os.fsdecode(b"\xff")),
        says="is not UTF-8",
    ),
    command(
        "fake-corpus-device",
        "a device as the corpus",
        *("fake", "--corpus", "/dev/zero"),
        says="/dev/zero: is not a corpus",
    ),
    Case("port-in-use", "another process has the port", ("in use",), 20, taken),
)
CASES = (*MANIFESTS, *FOLDERS, *SOUNDS, *TABLES, *COMMANDS)
