"""P-Tuning v1: virtual tokens as an exact prefix, equal to PEFT where PEFT is right, and PEFT's on disk."""

from __future__ import annotations

import json

import pytest
import torch
from small_prompts import FORMS, LENGTH, every_arch, fresh, gap, left_padded, prompted, rows, tokenizer_of

from finetune.methods import PTuningV1, adapter_parameters, load
from finetune.methods.ptuning_v1 import _encode

torch.set_num_threads(1)
both_encoders = pytest.mark.parametrize("form", ["mlp", "lstm"])


def in_front(base, embeddings, ids):
    """What the definition says: the base over virtual tokens and text together, logits of the text [batch, length]."""
    text = base.get_input_embeddings()(ids)
    whole = torch.cat([embeddings.to(text.dtype).expand(len(ids), -1, -1), text], dim=1)
    return base(inputs_embeds=whole, use_cache=False).logits[:, len(embeddings) :]


@both_encoders
@every_arch
def test_it_is_the_virtual_tokens_in_front_of_the_text(tiny, form, arch):
    """Logits, and the gradient of everything that is trained: no text changes what stands before it."""
    ids, model, twin = rows(), prompted(tiny(arch), form), prompted(tiny(arch), form)
    logits = model(input_ids=ids).logits
    wanted = in_front(fresh(tiny(arch)), _encode(twin.base_model.prompt_encoder), ids)
    assert gap(logits, wanted) <= 2e-6
    for found in (logits, wanted):
        torch.nn.functional.cross_entropy(found[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    for name, own in adapter_parameters(model).items():
        theirs = adapter_parameters(twin)[name].grad
        assert theirs.abs().max() > 0
        assert (own.grad - theirs).abs().max() <= 2e-5 * theirs.abs().max()


@both_encoders
@every_arch
@torch.no_grad()
def test_equals_peft_without_left_padding_and_the_row_alone_with_it(tiny, form, arch, tmp_path):
    from peft import PeftModel

    model, (ids, mask) = prompted(tiny(arch), form), left_padded()
    FORMS[form].save(model, tmp_path, base="some/base")
    theirs = PeftModel.from_pretrained(fresh(tiny(arch)), tmp_path).eval()
    assert gap(theirs(input_ids=ids[:1]).logits[:, LENGTH:], model(input_ids=ids[:1]).logits) <= 1e-5
    right = mask.flip(1)
    ours, other = (m(input_ids=ids, attention_mask=right).logits for m in (model, theirs))
    assert gap(other[:, LENGTH:] * right[..., None], ours * right[..., None]) <= 1e-5
    alone = model(input_ids=ids[:1, 7:]).logits[0]
    assert gap(model(input_ids=ids, attention_mask=mask).logits[0, 7:], alone) <= 1e-6
    assert gap(theirs(input_ids=ids, attention_mask=mask).logits[0, LENGTH + 7 :], alone) > 1e-4  # PEFT's is not
    config = json.loads((tmp_path / "adapter_config.json").read_text("utf-8"))
    said = (config["peft_type"], config["base_model_name_or_path"], config["encoder_reparameterization_type"])
    assert said == ("P_TUNING", "some/base", form.upper())


@both_encoders
def test_the_encoder_has_the_shapes_of_pefts(tiny, form):
    """So what is known of PEFT's sizes and rates holds here; all of it is among the adapter's own."""
    from peft import PromptEncoder, PromptEncoderConfig

    theirs = PromptEncoder(
        PromptEncoderConfig(
            num_virtual_tokens=LENGTH, token_dim=64, num_transformer_submodules=1, encoder_hidden_size=24,
            encoder_reparameterization_type=form.upper(),
        )
    )  # fmt: skip
    ours = adapter_parameters(prompted(tiny("qwen2"), form))
    assert sorted(tuple(p.shape) for p in ours.values()) == sorted(tuple(p.shape) for p in theirs.parameters())


def test_starts_are_fixed_by_the_seed(tiny):
    def start(seed):
        model = PTuningV1(encoder_hidden=16).attach(
            fresh(tiny("qwen2")), tokenizer=tokenizer_of(tiny("qwen2")), seed=seed
        )
        return torch.cat([p.detach().flatten() for p in adapter_parameters(model).values()])

    assert torch.equal(start(0), start(0))
    assert gap(start(0), start(1)) > 0.1


def test_training_goes_on_from_the_embeddings_without_the_encoder(tiny, tmp_path):
    FORMS["lstm"].save(prompted(tiny("qwen2"), "lstm"), tmp_path, base="b")
    model = load(fresh(tiny("qwen2")), tmp_path, trainable=True)
    ((name, embeddings),) = adapter_parameters(model).items()
    assert (name, list(embeddings.shape)) == ("model.prompt_encoder.embedding.weight", [LENGTH, 64])
    model(input_ids=rows(), labels=rows()).loss.backward()
    assert embeddings.grad.abs().max() > 0
    again = tmp_path / "again"
    FORMS["lstm"].save(model, again, base="b")
    assert (again / "adapter_model.safetensors").read_bytes() == (tmp_path / "adapter_model.safetensors").read_bytes()


def test_a_prompt_of_another_width_is_refused_by_name(tiny, tmp_path):
    from safetensors.torch import save_file

    FORMS["mlp"].save(prompted(tiny("qwen2"), "mlp"), tmp_path, base="b")
    save_file({"prompt_embeddings": torch.zeros(3, 48)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=r"prompt_embeddings has shape \[3, 48\], but this model needs \[n, 64\]"):
        load(fresh(tiny("qwen2")), tmp_path)
    save_file({"base.weight": torch.zeros(3)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="holds base.weight; a prompt is prompt_embeddings alone"):
        load(fresh(tiny("qwen2")), tmp_path)
