"""Write a manifest of some utterances of each speaker of LibriSpeech or Common Voice.

`python make_manifest.py LibriSpeech/test-clean 3` takes 3 utterances of each speaker,
`python make_manifest.py cv-corpus/en/test.tsv 1` takes 1. The manifest is printed.
"""

import csv
import json
import sys
from collections import Counter
from pathlib import Path


def librispeech(folder):
    for transcript in sorted(folder.rglob("*.trans.txt")):
        for line in transcript.read_text(encoding="utf-8").splitlines():
            name, text = line.split(" ", 1)
            audio = transcript.parent / f"{name}.flac"
            yield {
                "speaker": name.split("-")[0],
                "audio_filepath": str(audio),
                "text": text,
            }


def common_voice(table):
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            audio = table.parent / "clips" / row["path"]
            speaker, language = row["client_id"], row["locale"]
            line = {"speaker": speaker, "audio_filepath": str(audio)}
            yield {**line, "text": row["sentence"], "language": language}


def main(path, most):
    path = Path(path).resolve()
    taken = Counter()
    for line in librispeech(path) if path.is_dir() else common_voice(path):
        taken[line["speaker"]] += 1
        if taken[line["speaker"]] <= int(most):
            print(json.dumps({"language": "en", **line}, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
