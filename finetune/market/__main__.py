"""Write label.jsonl, knowledge.jsonl and extraction.jsonl (exams) and tuning.jsonl, byte for byte the same each time.

python -m finetune.market data_cards/demo
"""

from __future__ import annotations

import sys
from pathlib import Path

from finetune.files import write_whole
from finetune.market.exam import contents


def main(words: list[str]) -> int:
    if len(words) != 1:
        print("usage: python -m finetune.market FOLDER   (data_cards/demo in a clone)", file=sys.stderr)
        return 2
    for name, content in contents():
        path = Path(words[0]) / name
        write_whole(path, content)
        print(f"{path}: {content.count(chr(10))} rows")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
