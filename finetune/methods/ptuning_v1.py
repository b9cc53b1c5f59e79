"""P-Tuning (Liu et al. 2021, arXiv 2103.10385): trained virtual tokens in front of the text, re-encoded while training.

An encoder (an MLP, or the paper's bidirectional LSTM and MLP) turns a trained embedding into n input embeddings. They
are run through the frozen model once a forward, and what they leave there stands as a prefix before every text
(`finetune.methods.prefix`): right under left padding, isolated when rows are packed, and invisible to a cache. PEFT,
whose format the saved embeddings have, puts them in front of the padding and drops position ids, so there it is none
of these; on a row without left padding both give the same.
Checkpointing of the reentrant kind fails loudly; `train.checkpointing` uses the other.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from finetune.collector import paused
from finetune.methods import prefix
from finetune.methods.lora import refuse_second
from finetune.methods.search import FROZEN, SAID, several
from finetune.mistakes import BadInput


class PTuningV1(BaseModel):
    """Knobs of P-Tuning v1."""

    model_config = FROZEN
    kind: Literal["ptuning_v1"] = "ptuning_v1"
    virtual_tokens: int = Field(20, ge=1, description="Length of the prompt; more cost time and seldom help past 50")
    encoder: Literal["mlp", "lstm"] = Field(
        "mlp", description="What makes the prompt while training; lstm is the paper's, slower and no better on record"
    )
    encoder_hidden: int = Field(512, ge=1, description="Width of the encoder; none of it is left after training")
    learning_rate: float = Field(
        1e-3, gt=0, description="1e-4 for long runs forgets least; up to 5e-3 learns little more and forgets far more"
    )
    search: Annotated[prefix.PromptSearch | None, AfterValidator(several)] = Field(None, description=SAID)

    def check(self, config: Any) -> None:
        """BadInput says why virtual tokens cannot be a prefix in this architecture (transformers configuration)."""
        prefix.check(self.kind, self.virtual_tokens, config)

    def attach(self, model: Any, *, tokenizer: Any, seed: int) -> Any:
        """The same `model`, frozen, with a trainable fp32 prompt and encoder, drawn by `seed`.

        BadInput on an architecture refused, or a model with an adapter.
        """
        refuse_second(model)
        self.check(model.config)
        with prefix.drawn(seed):
            prompt = self._drawn(model.config.hidden_size)
        return prefix.install(model, prompt, _unfold, self.virtual_tokens, trainable=True)

    def save(self, model: Any, folder: Path, *, base: str) -> None:
        """Write PEFT's two files into `folder`: the embeddings as the encoder ends up making them, [n, hidden]."""
        import torch

        with paused():
            from peft import PromptEncoderConfig

        with torch.no_grad():
            embeddings = _encode(model.base_model.prompt_encoder)
        config = PromptEncoderConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=len(embeddings),
            token_dim=embeddings.shape[1],
            num_transformer_submodules=1,
            num_attention_heads=model.config.num_attention_heads,
            num_layers=model.config.num_hidden_layers,
            encoder_reparameterization_type=self.encoder.upper(),
            encoder_hidden_size=self.encoder_hidden,
            inference_mode=True,
            base_model_name_or_path=base,
        )
        prefix.write(folder, config, embeddings)

    def _drawn(self, hidden: int) -> Any:
        """Embedding and encoder as torch draws them, of PEFT's shapes (PromptEncoder)."""
        from torch import nn

        width = self.encoder_hidden
        parts: dict[str, Any] = {"embedding": nn.Embedding(self.virtual_tokens, hidden)}
        if self.encoder == "lstm":
            parts["lstm"] = nn.LSTM(hidden, width, num_layers=2, bidirectional=True, batch_first=True)
            layers = [nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, hidden)]
        else:
            layers = [nn.Linear(hidden, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, hidden)]
        return nn.ModuleDict({**parts, "mlp": nn.Sequential(*layers)})


def load(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """The same `model` with the prompt of `folder`, in fp32. BadInput names what does not fit.

    The encoder is not in the folder, here as in PEFT: training goes on from the embeddings themselves.
    """
    from torch import nn

    refuse_second(model)
    prefix.refuse_architecture("ptuning_v1", model.config)
    embeddings = prefix.prompt_embeddings(folder, "prompt")
    hidden = model.config.hidden_size
    if embeddings.ndim != 2 or len(embeddings) == 0 or embeddings.shape[1] != hidden:
        raise BadInput(
            f"{folder}: prompt_embeddings has shape {list(embeddings.shape)}, but this model needs [n, {hidden}]"
        )
    prompt = nn.ModuleDict({"embedding": nn.Embedding.from_pretrained(embeddings, freeze=False)})
    return prefix.install(model, prompt, _unfold, len(embeddings), trainable=trainable).train(trainable)


def _unfold(decoder: Any) -> Any:
    return prefix.run(decoder, _encode(decoder.prompt_encoder))


def _encode(prompt: Any) -> Any:
    """The n input embeddings [n, hidden], in fp32 whatever surrounds it, as they will be saved."""
    import torch

    found = prompt["embedding"].weight
    with torch.autocast(found.device.type, enabled=False):
        if "lstm" in prompt:
            found = prompt["lstm"](found[None])[0][0]
        return prompt["mlp"](found) if "mlp" in prompt else found
