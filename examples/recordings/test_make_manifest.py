"""The manifest has some utterances of each speaker, as both corpora lay them out."""

import json

from make_manifest import main


def test_librispeech(tmp_path, capsys):
    for chapter in ("61/70968", "121/121726", "121/123852"):
        folder = tmp_path / "test-clean" / chapter
        folder.mkdir(parents=True)
        prefix = chapter.replace("/", "-")
        lines = [f"{prefix}-{number:04} HE BEGAN A SONG\n" for number in range(3)]
        (folder / f"{prefix}.trans.txt").write_text("".join(lines))
    main(tmp_path / "test-clean", 2)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["speaker"] for line in found] == ["121", "121", "61", "61"]
    audio = tmp_path / "test-clean/121/121726/121-121726-0001.flac"
    assert found[1]["audio_filepath"] == str(audio)
    assert found[1]["text"] == "HE BEGAN A SONG"
    assert found[1]["language"] == "en"


def test_common_voice(tmp_path, capsys):
    rows = ["client_id\tpath\tsentence\tlocale"]
    rows += [f"{who}\t{who}{n}.mp3\tEr sagte „Ja“.\tde" for who in "ab" for n in (1, 2)]
    (tmp_path / "test.tsv").write_text("\n".join(rows) + "\n")
    main(tmp_path / "test.tsv", 1)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["speaker"] for line in found] == ["a", "b"]
    assert found[0]["audio_filepath"] == str(tmp_path / "clips/a1.mp3")
    assert found[0]["text"] == "Er sagte „Ja“."
    assert found[0]["language"] == "de"
