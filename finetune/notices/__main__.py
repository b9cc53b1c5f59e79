"""Write train_zh.jsonl, train_en.jsonl, test_zh.jsonl and test_en.jsonl, byte for byte the same each time.

python -m finetune.notices data_cards/notices
"""

from __future__ import annotations

import sys
from pathlib import Path

from finetune.files import write_whole
from finetune.notices.writing import contents


def main(words: list[str]) -> int:
    if len(words) != 1:
        print("usage: python -m finetune.notices FOLDER   (data_cards/notices in a clone)", file=sys.stderr)
        return 2
    for name, content in contents():
        path = Path(words[0]) / name
        write_whole(path, content)
        print(f"{path}: {content.count(chr(10))} rows")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
