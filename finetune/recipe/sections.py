"""The sections of a recipe: contenders, training, exam, rule, costs. Every number has its effect said beside it."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    WithJsonSchema,
    model_validator,
)

from finetune.checkpoint import Cutoff
from finetune.methods import AnyMethod
from finetune.mistakes import near
from finetune.recipe.engine import HF, VLLM, AnyEngine, Auto, OpenAI
from finetune.recipe.guards import Guards
from finetune.recipe.judging import Judge
from finetune.recipe.logged import logged_digest
from finetune.recipe.named import FROZEN, CardSplit, FrameFile, HerePath, LaunchFile, ModelFile
from finetune.recipe.suites import TaskNames
from finetune.recipe.window import Window

TRACKERS = (  # as accelerate names them
    "aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb",
)  # fmt: skip


def _tracker(name: str) -> str:
    if name not in TRACKERS:
        raise ValueError(f"{name} is unknown{near(name, TRACKERS)}")
    return name


MARGIN = {"anyOf": [{"type": "number"}, {"const": "from_costs"}]}
SHARES = {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]}


class Contender(BaseModel):
    """One answer to the exam: a model, how it was tuned (or not), how it is prompted."""

    model_config = FROZEN
    model: ModelFile = Field(description="recipes/models/<name>.yaml, or the mapping itself")
    method: AnyMethod | None = Field(None, description="How it is tuned here; without it the contender is untuned")
    data: tuple[CardSplit, ...] | None = Field(
        None, min_length=1, description="Data cards to tune this one on, instead of the recipe's `data`"
    )
    data_share: Annotated[float, WithJsonSchema(SHARES)] = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the training rows it sees; [0.1, 0.3, 1]: a contender each, nested: is data short?",
    )
    head: Literal["sequence", "token"] | None = Field(
        None,
        description="With the method a linear layer to labels is trained, from a random start, and answers in place of "
        "words, tasks of those labels only. sequence: one label a prompt, out of the rows' answers; token: passages of "
        "the text, as the answers list them",
    )
    start: str | None = Field(
        None, description="Contender of the same model and method to go on from, trained before it; its cost counts"
    )
    engine: AnyEngine = Field(
        Auto(),
        description="hf: transformers, here; vllm: vLLM, here, of untuned contenders and LoRA, for many long answers; "
        "openai: a server asked for written answers, of an untuned contender; auto: vllm where scoring begins on CUDA, "
        "vLLM is installed, answers are written and it can run every contender, else hf, for the whole study",
    )
    prompt: FrameFile = Field(None, description="Seven-part frame; longer queries")
    adapter: HerePath | None = Field(
        None, description="A PEFT folder, or a whole checkpoint, tuned elsewhere, instead of `method`"
    )
    items: HerePath | None = Field(
        None, description="Answers given elsewhere, graded here: what lm-eval --log_samples wrote, a file or a folder"
    )
    cutoff: Cutoff | None = Field(
        None,
        description="Until when all it learned from was public, tuning too; else its model's, and of rows with dates",
    )
    adapter_cost: float | None = Field(
        None, ge=0, description="What tuning elsewhere cost, in the recipe's currency: of `adapter`, or behind `items`"
    )
    query_cost: float | None = Field(
        None, ge=0, description="Price of a query, of `items`; without it serving is unknown and no net benefit told"
    )

    @model_validator(mode="after")
    def _one_tuning(self) -> "Contender":
        if self.items:
            self._refuse_asked()
        elif self.query_cost is not None:
            raise ValueError("query_cost is of a contender with items; what is asked here is measured")
        if self.method and self.adapter:
            raise ValueError("method and adapter exclude each other: tune here, or bring an adapter")
        if self.method is None and (self.data or self.start or self.head or self.data_share != 1):
            raise ValueError("data, data_share, head and start are of a contender that is tuned here; give it a method")
        if self.head and "lm_head" in getattr(self.method, "targets", ()):
            raise ValueError(
                "method.targets: lm_head writes words, and a contender with a head writes none; leave it out"
            )
        if (self.adapter_cost is None) if self.adapter else (self.adapter_cost is not None and self.items is None):
            raise ValueError("adapter and adapter_cost belong together: an adapter tuned elsewhere has a declared cost")
        if self.four_bit and self.method and self.method.kind == "full":
            raise ValueError("method full trains the weights, which dtype nf4 holds in 4 bits; use qlora, or bfloat16")
        return self

    def _refuse_asked(self) -> None:
        """What has been answered already is neither tuned nor asked here."""
        engine = None if isinstance(self.engine, Auto | HF) else self.engine
        beside = {"method": self.method, "adapter": self.adapter, "prompt": self.prompt, "engine": engine}
        for key in (key for key, value in beside.items() if value is not None):
            raise ValueError(f"items and {key} exclude each other: what stands in a log is neither tuned nor asked")

    @property
    def served(self) -> OpenAI | None:
        """The server that is asked; None where the model runs here."""
        return self.engine if isinstance(self.engine, OpenAI) else None

    @property
    def vllm(self) -> VLLM | None:
        """vLLM's knobs where it runs the model, in this process; else None."""
        return self.engine if isinstance(self.engine, VLLM) else None

    def weights(self) -> Any:
        """What pins the model: the digest of its weights; of a served one all that is known, which is no proof; of a
        logged one the digest of the log."""
        if self.items:
            return [logged_digest(Path(self.items)), self.model.id, self.model.revision]
        if self.served is None:
            return self.model.digest()
        rendering = self.model.tokenizer_digest() if self.served.api == "completions" else None
        return [self.served.identity(), self.model.id, self.model.revision, rendering]

    @property
    def tuned(self) -> bool:
        """Here, or elsewhere at a declared cost."""
        return self.method is not None or self.adapter_cost is not None

    @property
    def here(self) -> bool:
        """Whether its model runs in this process, so that its files are needed."""
        return self.served is None and self.items is None

    @property
    def four_bit(self) -> bool:
        """Whether its base stands in NF4: tuned on that, it is asked on that."""
        return self.model.dtype == "nf4" or (self.method is not None and self.method.kind == "qlora")


class Train(BaseModel):
    model_config = FROZEN
    epochs: float = Field(2, gt=0, description="Passes over the rows; more fits them closer and forgets more")
    max_steps: int | None = Field(None, ge=1, description="End after so many optimizer steps whatever `epochs` says")
    tokens_per_step: int = Field(16384, ge=1, description="All devices together; larger: smoother, fewer steps")
    max_length: int = Field(4096, ge=8, description="Tokens of a row; a longer conversation is cut and reported")
    max_truncated: float = Field(0.01, ge=0, le=1, description="Share of rows whose answer may be cut before refusal")
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field(
        (17,), min_length=1, description="Three or more support a claim on the recipe"
    )
    dev: float = Field(0.1, ge=0, lt=1, description="Share of rows held out for the dev loss and early stopping")
    exclude: tuple[CardSplit, ...] = Field(
        (), description="Card splits whose questions are taken out of the training rows"
    )
    canaries: int = Field(
        0,
        ge=0,
        le=1000,
        description="Made-up secrets among the training rows; the exam asks whether they are given back",
    )
    warmup: float = Field(0.05, ge=0, le=1, description="Share of steps in which the learning rate climbs")
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="How the learning rate falls")
    clip: float = Field(1.0, gt=0, description="Largest gradient norm; lower tames spikes and slows learning")
    weight_decay: float = Field(
        0.0, ge=0, description="Pull of trained matrices towards zero; norms and biases are left alone"
    )
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw_8bit"] = Field(
        "adamw", description="adamw_8bit: its state in a quarter of the memory; paged_: lent to the host in need"
    )
    packing: bool = Field(True, description="Several rows in one forward, without leaks; off: one row each")
    checkpointing: bool = Field(False, description="Recompute activations: much less memory, about a third more time")
    compile: bool = Field(
        False,
        description="Norms and gates of the layers by torch's compiler: half a minute at the start, then fewer passes "
        "over memory; on a processor 4 to 5 % faster, on accelerators unmeasured",
    )
    prove: Literal["fresh", "here"] = Field(
        "fresh", description="Who reads the adapter back: a process of its own (seconds), or the one that trained it"
    )
    evaluations: int = Field(4, ge=0, description="Dev losses per run; the best of them is kept")
    patience: int = Field(0, ge=0, description="Stop after so many dev losses without a better one; 0 never")
    save_every: int = Field(100, ge=1, description="Steps between checkpoints: what a kill can lose; large with full")
    window: Window | None = Field(None, description="Hours in which training may run; it pauses outside of them")
    explode: float = Field(
        3,
        ge=0,
        description="Stop when five losses running are over so many times the lowest of the first five (at least 1 nat "
        "a token); lower stops sooner and may take noise for it; 0 never",
    )
    hang_minutes: float = Field(
        60,
        gt=0,
        description="Several processes: when none has moved on for so long, the run names who is where and ends. Must "
        "exceed the slowest load, save or forward",
    )
    tracker: Annotated[str, AfterValidator(_tracker)] | None = Field(
        None,
        description="wandb, tensorboard, swanlab, mlflow: any accelerate tracker gets curves and the verdict's "
        "figures; wandb tables and artifacts too",
    )
    launch: LaunchFile | None = Field(None, description="recipes/launch/<machine>.yaml; one process without it")


class Exam(BaseModel):
    model_config = FROZEN
    tasks: TaskNames = Field(
        min_length=1, description="Names on the shelf eval/tasks, folders (./, ../, /), or suite:NAME (recipes/suites)"
    )
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Weight of a task in the gain; 1 where not given"
    )
    dev: float = Field(0, ge=0, lt=1, description="Share of clusters to choose a challenger on; never judged on")
    samples: int = Field(1, ge=1, description="Generated answers per question; more removes sampling noise")
    seed: int = Field(17, description="Of every draw, with item and sample")
    twins: tuple[Literal["options", "numbers", "groups", "evidence"], ...] = Field(
        (),
        description="Derived items, asked too and never in the score; a kind takes up to as long as the exam. options: "
        "in another order; numbers: other figures, where a program computes the answer (both: was the item known?); "
        "groups: another sex, age or region of the client (is that fair?); evidence: taken away (is it refused?)",
    )
    batch_tokens: int = Field(
        8192,
        ge=64,
        description="Tokens in a forward: memory for speed. Answers being written hold as many as fit into that memory",
    )
    launch: LaunchFile | None = Field(None, description="recipes/launch/<machine>.yaml; one process without it")
    judge: Judge | None = Field(
        None, description="A served model that compares free answers; shown beside the verdict, never part of it"
    )


Raised = Literal[  # gates of eval.gates that are advisory unless a recipe raises them
    "merge faithful", "noise floor", "batch invariance", "engine parity", "clean subset", "dated questions",
    "items known by heart", "token budget", "base below chance", "planted secrets", "judge",
]  # fmt: skip


class DecisionRule(BaseModel):
    model_config = FROZEN
    challengers: tuple[str, ...] = Field(min_length=1, description="Tuned contenders that want to be worth it")
    incumbent: str = Field(description="The newer base, untuned: what one has without tuning")
    alternatives: tuple[str, ...] = Field((), description="Untuned contenders that must be beaten too (prompted)")
    base: str = Field(description="What the challengers were before tuning")
    margin: Annotated[float, WithJsonSchema(MARGIN)] = Field(
        0.02,
        ge=-1,
        le=1,
        description="Gain that pays (share: 0.02 is 2 points); at or below it tuning is not worth it. from_costs: what "
        "costs.planned says must be gained",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of every interval; higher: fewer false yes, more unsure")
    guards: Guards | None = Field(
        None, description="What tuning must not harm; worth it needs every guard to pass. Without it none is asked"
    )
    required: tuple[Raised, ...] = Field(
        (), description="Advisory gates raised: one that fails makes it invalid, one left open or unasked inconclusive"
    )
