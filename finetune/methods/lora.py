"""LoRA (Hu et al. 2021, arXiv 2106.09685): a trained low-rank product beside each chosen linear layer, by PEFT.

Its kin: rsLoRA (Kalajdzievski 2023, arXiv 2312.03732), DoRA (Liu et al. 2024, arXiv 2402.09353), and QLoRA (Dettmers et
al. 2023, arXiv 2305.14314), which is LoRA on a base held in 4 bits.

Defaults follow "LoRA Without Regret" (Schulman et al. 2025): every linear layer, the MLP above all; alpha 32; about ten
times the learning rate of full tuning, nearer fifteen for very short runs. The product starts at zero, so an untrained
adapter is exactly the base (DoRA's to rounding, for it divides by a norm and multiplies by the same).
With reentrant gradient checkpointing call `model.enable_input_require_grads()`, as for any frozen base.
"""

import copy
import difflib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from finetune.collector import paused
from finetune.methods.search import FROZEN, SAID, Rates, Shares, Sizes, several
from finetune.mistakes import BadInput

MARKS = (".lora_", ".modules_to_save.")  # in the name of a parameter: it is the adapter's
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NAMED_ALIKE = ("llama", "mistral", "qwen2", "qwen3")  # architectures whose layers hold exactly LINEARS


class LoRASearch(BaseModel):
    """Values to be tried of LoRA's knobs."""

    model_config = FROZEN
    learning_rate: Rates = Field((), description="The knob that matters most: 1e-4 to 4e-4, a factor 2 apart")
    rank: Sizes = Field((), description="Matters less than the rate unless the data outgrow it")
    alpha: Rates = Field((), description="Acts as the rate does; search one of the two")
    dropout: Shares = Field((), description="Worth a trial where the dev loss rises early")


class LoRA(BaseModel):
    """Knobs of LoRA and its kin; `qlora` is the same on a base in 4 bits (NF4), trained and scored."""

    model_config = FROZEN
    kind: Literal["lora", "qlora"] = "lora"
    rank: int = Field(
        16,
        ge=1,
        description="Room to learn; must exceed what the data holds (large sets: 256). Memory grows with it",
    )
    alpha: float = Field(
        32, gt=0, description="Strength: the product counts alpha / rank times (alpha / sqrt(rank) under rslora)"
    )
    rslora: bool = Field(
        False, description="Scale by alpha / sqrt(rank): strength grows with rank (8 times at 64), so lower the rate"
    )
    dora: bool = Field(
        False, description="Train each output's magnitude apart: sometimes better at low rank, slower and more memory"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of adapter inputs dropped in training; against overfit")
    targets: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        "all-linear",
        description="Names of linear layers, as q_proj; attention alone learns less than all at equal size",
    )
    learning_rate: float = Field(
        2e-4,
        gt=0,
        description="About 10 times full tuning's (15 in very short runs), nearly whatever the rank while the product "
        "counts alpha / rank; under rslora lower as rank grows; too high forgets and diverges",
    )
    search: Annotated[LoRASearch | None, AfterValidator(several)] = Field(None, description=SAID)

    def check(self, config: Any) -> None:
        """BadInput when a target is surely no linear layer of this architecture (transformers configuration)."""
        if config.model_type in NAMED_ALIKE:
            _refuse_unmatched([target.rpartition(".")[2] for target in self._named()], [*LINEARS, "lm_head"])

    def attach(self, model: Any, *, tokenizer: Any, seed: int) -> Any:
        """A PeftModel around `model`: adapter trainable in fp32, all else frozen, drawn by `seed`.

        BadInput when a target matches no linear layer, or the model already carries an adapter.
        """
        import torch

        with paused():
            from peft import LoraConfig, get_peft_model

        refuse_second(model)
        linear = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
        _refuse_unmatched(self._named(), list(linear))
        body = {name.rpartition(".")[2] for name, part in linear.items() if part is not model.get_output_embeddings()}
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]  # PEFT says int and only divides by the rank
            lora_dropout=self.dropout,
            use_rslora=self.rslora,
            use_dora=self.dora,
            target_modules=list(self._named()) or sorted(body),
        )
        with _peft_at_work(seed):
            return get_peft_model(model, config).train(model.training)

    def save(self, model: Any, folder: Path, *, base: str) -> None:
        """Write PEFT's two files into `folder`; the same adapter gives the same bytes."""
        from peft import get_peft_model_state_dict
        from safetensors.torch import save_file

        config = copy.deepcopy(model.peft_config["default"])
        config.base_model_name_or_path, config.inference_mode = base, True
        if isinstance(config.target_modules, set):  # whose order changes with every process
            config.target_modules = sorted(config.target_modules)
        config.save_pretrained(str(folder))
        tensors = get_peft_model_state_dict(model, save_embedding_layers=False)  # the base's own are never changed
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(whole, folder / "adapter_model.safetensors", metadata={"format": "pt"})

    def _named(self) -> tuple[str, ...]:
        return () if isinstance(self.targets, str) else self.targets


def load(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """A PeftModel with the LoRA of `folder`, in fp32. BadInput names the tensor that does not fit."""
    with paused():
        from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    refuse_second(model)
    with _peft_at_work(seed=0):
        try:
            loaded = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
        except RuntimeError as fault:
            misfit = next((line.strip() for line in str(fault).splitlines() if "size mismatch" in line), str(fault))
            raise BadInput(f"{folder}: the adapter does not fit this model: {misfit}") from None
    with safe_open(folder / "adapter_model.safetensors", framework="pt") as tensors:
        saved = set(tensors.keys())
    wanted = set(get_peft_model_state_dict(loaded, save_embedding_layers=False))
    for name in sorted(saved ^ wanted):
        what = "is not in the adapter's file" if name in wanted else "has no place in this model"
        raise BadInput(f"{folder}: the adapter does not fit this model: {name} {what}")
    return loaded.train(trainable)


def _refuse_unmatched(targets: Iterable[str], layers: list[str]) -> None:
    """PEFT takes a target silently as long as another one matches; a misspelt one would train less than asked."""
    leaves = sorted({name.rpartition(".")[2] for name in layers})
    for target in targets:
        if not any(f".{name}".endswith(f".{target}") for name in layers):
            near = ", ".join(difflib.get_close_matches(target, leaves, n=3, cutoff=0))
            raise BadInput(f"targets: {target} matches no linear layer; the nearest are {near}")


@contextmanager
def _peft_at_work(seed: int) -> Iterator[None]:
    """Global random state seeded and put back after: PEFT draws from it, on loading too. Two warnings are silenced.

    One is of a name in transformers that PEFT uses and no caller can change; of the other `load` makes a refusal.
    PEFT draws on the CPU and moves, so the CPU's state is all there is to it, and a start is the same on every device.
    """
    import torch

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        warnings.filterwarnings("ignore", message="Found missing adapter keys")
        torch.default_generator.manual_seed(seed)
        yield


def causal(model: Any) -> Any:
    """The transformers model inside whatever PEFT put around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def refuse_second(model: Any) -> None:
    """BadInput when a model already carries an adapter, or was tuned as a whole: two would add up unseen."""
    if getattr(model, "tuned_whole", None) is not None:
        raise BadInput("the model already carries tuned weights of its own; load the base anew")
    for name, _ in model.named_parameters():
        if ".lora_" in name or "prompt_encoder." in name:
            raise BadInput(f"the model already carries an adapter ({name}); load the base anew")
