"""What is handed on: weights, tokenizer, generation config, chat fingerprint, card. A whole folder or none."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from finetune.chat import Chat
from finetune.export.card import card
from finetune.export.facts import Facts
from finetune.export.fusion import Fusion, fuse
from finetune.export.rendering import rendering
from finetune.export.result import Result
from finetune.files import folder_whole
from finetune.licence import terms_of
from finetune.methods import adapter_digest
from finetune.methods.full import BESIDE
from finetune.mistakes import BadInput
from finetune.recipe import Contender, Recipe
from finetune.run import RunDir, RunManifest, SeedDir

READABLE = 0o644  # for others, too: transformers writes weights for their owner alone
PROMPTS = ("ptuning_v1", "ptuning_v2")
LEGAL = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*")


@dataclass(frozen=True)
class Parcel:
    """One trained contender and seed, about to be handed on."""

    recipe: Recipe
    name: str
    place: SeedDir
    trained: RunManifest
    verdict: Path
    merge: bool

    @classmethod
    def find(cls, recipe: Recipe, name: str, seed: int, run: RunDir, *, merge: bool) -> Parcel:
        """BadInput: cannot be merged, is not trained, was trained under another recipe, or its adapter was changed."""
        method = recipe.methods[name]
        if merge and method.kind in PROMPTS:
            raise BadInput(
                f"--merge: {name} is {method.kind}, a trained prompt beside the tokens, which no weight can hold; "
                f"export it without --merge and serve it with its adapter"
            )
        place = run.seed(name, seed)
        done, remedy = place.trained(), f"run `tuneworth train` with --contender {name} first"
        if done is None or done.training is None:
            raise BadInput(f"{name}, seed {seed}, is not trained in {run.folder}; {remedy}, or name its --out")
        if done.fingerprint != recipe.train_fingerprint(name, seed):
            raise BadInput(f"{name}, seed {seed}, was trained under another state of the recipe or its data; {remedy}")
        if adapter_digest(place.adapter) != done.training.adapter_digest:
            raise BadInput(f"{place.adapter}: not what its train.json speaks of; move its folder away and {remedy}")
        return cls(recipe, name, place, done, run.verdict, merge)

    @property
    def contender(self) -> Contender:
        return self.recipe.contenders[self.name]

    @property
    def whole(self) -> bool:
        """Whether whole weights are handed on, not an adapter."""
        return self.merge or self._full

    @property
    def _full(self) -> bool:
        method = self.contender.method
        return method is not None and method.kind == "full"

    def write(self, to: Path | None) -> Path:
        """Fill the folder and give its path. BadInput: it is there already."""
        target = to or self.place.exported(merged=self.merge)
        if os.path.lexists(target):
            raise BadInput(f"{target}: is there already; move it away, or name another place with --to")
        folder_whole(target, self._whole, over=False)
        return target

    def _whole(self, folder: Path) -> None:
        """Read without a hold, beside a scoring or from a place that cannot be written; what moved is not kept."""
        try:
            self._fill(folder)
        except Exception:
            self._refuse_moved()  # then that is the reason
            raise
        self._refuse_moved()

    def _refuse_moved(self) -> None:
        try:
            same = self.place.trained() == self.trained and self._digest() == adapter_digest(self.place.adapter)
        except (OSError, BadInput):  # gone, or half there
            same = False
        if not same:
            raise BadInput(
                f"{self.place.adapter}: another training has replaced it while it was read; nothing is kept, export "
                f"again when that has ended"
            )

    def _digest(self) -> str:
        assert self.trained.training is not None, "`find` has seen to it"
        return self.trained.training.adapter_digest

    def torn(self, to: Path | None) -> list[Path]:
        """Unfinished folders beside the target: of an export that was killed, or that is still at work."""
        target = to or self.place.exported(merged=self.merge)
        form = re.compile(rf"\.{re.escape(target.name)}\.\d+")
        return sorted(path for path in target.parent.glob(".*") if form.fullmatch(path.name))

    def _fill(self, folder: Path) -> None:
        spec = self.contender.model
        base = spec.folder()
        chat = Chat.open(base, spec.family, spec.think)
        fusion = self._weights(folder, base, chat)
        _copy(base, folder, [name for name in BESIDE if (base / name).is_file()])
        _copy(base, folder, [path.name for pattern in LEGAL for path in sorted(base.glob(pattern))])
        (folder / "generation_config.json").write_text(_dump(self._decoding(chat)), "utf-8")
        (folder / "chat.json").write_text(_dump(chat.fingerprint()), "utf-8")
        self._notice(folder)
        facts = Facts(
            self.recipe, self.name, self.trained, chat, Result.read(self.verdict, self.name, self.trained),
            fusion, rendering(folder, chat, self.contender.prompt), self.merge,
        )  # fmt: skip
        (folder / "README.md").write_text(card(facts), "utf-8")
        for path in folder.iterdir():
            path.chmod(READABLE)

    def _weights(self, folder: Path, base: Path, chat: Chat) -> Fusion | None:
        """Merged into a fresh base, or as they were trained: then the very bytes."""
        if self.merge and not self._full:
            return fuse(base, self.place.adapter, folder, chat, four_bit=self.contender.four_bit)
        _copy(self.place.adapter, folder, [path.name for path in self.place.adapter.iterdir() if path.is_file()])
        if adapter_digest(folder) != self._digest():
            raise RuntimeError(f"what was copied from {self.place.adapter} is not what stands there; nothing is kept")
        return None

    def _decoding(self, chat: Chat) -> dict[str, object]:
        """As the exam asked it: the decoding that the model's YAML declares, stopped where its family stops."""
        declared = self.contender.model.decoding
        ends = {"eos_token_id": chat.stops, "pad_token_id": chat.pad, "max_new_tokens": declared.max_new_tokens}
        if declared.temperature == 0:
            return {"do_sample": False, **ends}
        drawn = {"temperature": declared.temperature, "top_p": declared.top_p, "top_k": declared.top_k}
        return {"do_sample": True, **drawn, **ends}

    def _notice(self, folder: Path) -> None:
        """The attribution that a licence asks for, after that of the base where it has one."""
        lines = [terms.notice for terms in terms_of(self.contender.model.licence) if terms.notice]
        path = folder / "NOTICE"
        before = path.read_text("utf-8") if path.is_file() else ""
        lines = [line for line in lines if line not in before]
        if lines:
            path.write_text(before + "\n".join(lines) + "\n", "utf-8")


def _copy(origin: Path, folder: Path, names: Iterable[str]) -> None:
    for name in names:
        shutil.copyfile(origin / name, folder / name)


def _dump(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
