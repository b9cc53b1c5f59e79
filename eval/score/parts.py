"""The item log of one scoring while it is made: a file for every process, merged by key at the end.

A later start may have another number of processes: it reads what all earlier ones wrote, and scores only what is
missing. What another scorer wrote (other weights, prompt, questions) is set aside, never mixed in.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval import columns, items
from eval.items import ItemScore
from finetune.files import digest_of
from finetune.mistakes import BadInput
from finetune.run import SeedDir

Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class Parts:
    """Item files of one contender and seed; `scorer` is the score fingerprint that their rows must carry."""

    place: SeedDir
    scorer: str
    private: bool = False  # a card of the exam is: the files are readable by their owner only

    def of(self, rank: int) -> Path:
        """The file that one process appends to."""
        return self.place.folder / f"items.rank-{rank}.jsonl"

    def files(self) -> list[Path]:
        return self.place.logs()

    def rows(self) -> dict[Key, ItemScore]:
        """Every row made so far, by key. BadInput: a broken line that no kill explains."""
        return {row.key: row for path in self.files() for row in items.read(path)}

    def done(self, asked: Iterable[tuple[Key, Sequence[int] | str]]) -> dict[Key, ItemScore]:
        """Every row made so far. BadInput: one was answered to another prompt than the one of `asked`.

        Fingerprints know recipe, cards and tasks; another lm-eval, tokenizer library or release of this one may still
        put a question in other words, and one log holds the answers to one prompt each.
        """
        found = self.rows()
        for key, prompt in asked:
            row = found.get(key)
            if row and row.prompt and row.prompt != digest_of(prompt):
                raise BadInput(
                    f"{self.place.folder}: {row.task}/{row.id} was asked in other words when this scoring was begun "
                    f"(another lm-eval, tokenizers or tuneworth?); go on with the versions of then, or raise "
                    f"metadata.version of the task to ask it anew"
                )
        return found

    def set_aside_others(self) -> Path | None:
        """Move away what another scorer left here, finished or not; where to, or None."""
        done = self.place.scored()
        others = {row.scorer for row in self.rows().values()} - {self.scorer}
        if done and done.fingerprint != self.scorer:
            others = {done.fingerprint}
        if not others:
            return None
        stale = [*self.files(), columns.place_of(self.place.items), self.place.score_manifest]
        return self.place.set_aside(stale, min(others))

    def merge(self, order: Sequence[Key], read: Callable[[ItemScore], ItemScore]) -> list[ItemScore]:
        """All rows in the exam's order as one file, which replaces the parts; `read` grades a row as today."""
        rows = self.rows()
        missing = [key for key in order if key not in rows]
        if missing:
            raise RuntimeError(
                f"{self.place.folder}: {len(missing)} answers were not scored, the first is {missing[0][1:]}"
            )
        merged = [read(rows[key]) for key in order]
        items.replace(self.place.items, merged, private=self.private)
        for path in self.files()[1:]:
            path.unlink()
        return merged
