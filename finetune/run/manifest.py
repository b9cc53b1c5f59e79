"""What a finished stage says of itself, written last: its presence means "done"."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from finetune.checkpoint import name_of
from finetune.files import write_whole
from finetune.methods import SearchFacts
from finetune.mistakes import BadInput
from finetune.run.machine import GitState, Hardware

FROZEN = ConfigDict(frozen=True, extra="forbid")
Basis = Literal["shelf", "probe", "second step"]  # by which a run's seconds are told, see finetune.train.pace


class TrainFacts(BaseModel):
    """What tuning did; token counts are over the whole run, all ranks together."""

    model_config = FROZEN
    method: str | None = None  # its kind; None: not noted
    steps: int
    best_step: int
    stopped: Literal["done", "early", "max_steps"]
    loss_first: float  # mean over the first tenth of the steps (at least one), nats per target token
    loss_last: float
    losses: tuple[tuple[int, float], ...]  # (step, loss), at most 200 of them
    dev_losses: tuple[tuple[int, float], ...]
    rows: int
    dev_rows: int
    truncated_rows: int
    target_tokens: int
    useful_tokens: int  # unmasked by padding: every real token that went through the model
    raw_tokens: int  # with padding
    useful_tokens_per_second: float
    raw_tokens_per_second: float
    step_seconds: float = 0  # wall seconds in the steps, without loading, dev losses and saving; 0: not noted
    predicted_seconds: dict[Basis, float] = {}  # of the same, told in every way that was at hand
    peak_memory_bytes: int
    predicted_peak_bytes: int = 0  # as finetune.plan has it, in the same terms; 0: nothing was predicted
    trainable_parameters: int
    parameters: int
    adapter_digest: str
    adapter_norm: float  # L2 norm of the adapter's tensors: zero means nothing was learnt or saved
    end_token_trained: bool | None  # None: a classification head writes nothing that could end
    reload_difference: float  # largest |logit| difference between the trained model and the reloaded adapter
    logit_shift: float  # largest |logit| difference between adapter and bare base on a probe
    reread: Literal["fresh", "here"] = "here"  # whether a process of its own read the adapter back
    head_difference: float | None = None  # as reload_difference, of a head's scores; None where there is no head
    merge_difference: float | None = None  # as reload_difference, of the merged weights; None where they do not merge
    packing_leak: float | None = None  # how far a packed row moved another, of the largest state; None without packing
    start_difference: float | None = None  # how far the first loss is off the bare base's, of it; None where it may be
    chat_digest: str
    data: dict[str, str]  # card name -> edition
    search: SearchFacts | None = None  # None: its knobs are as the recipe gives them


class TaskFacts(BaseModel):
    """What one task asked of one contender."""

    model_config = FROZEN
    name: str
    version: str
    protocol: Literal["likelihood", "generated"]
    metric: str
    items: int
    clusters: int
    guess_rate: float
    lang: str
    items_digest: str
    edition: str


class AdapterProbe(BaseModel):
    """Proof that the adapter was on: mean KL(tuned || base) over probe prompts beside an A/A pair of the base; in vLLM
    what it cannot be below (eval.score.paged)."""

    model_config = FROZEN
    prompts: int
    kl: float
    kl_same: float  # base against itself in another batch order
    norm: float


class ServedFacts(BaseModel):
    """A server that answered, as it was found when this scoring last began."""

    model_config = FROZEN
    host: str
    model: str  # as it was asked for
    api: Literal["chat", "completions"]
    form: Literal["messages", "ids", "text"]  # in which prompts were sent: messages, or our rendering
    sampling: Literal["asked", "server"]
    said_models: tuple[str, ...]  # as it named itself in its answers
    fingerprints: tuple[str, ...]  # of its system, where it told
    seeds_repeat: bool | None  # whether a seed draws the same twice; None where nothing is drawn
    retried: int  # requests sent again since the last start
    tokens_in: int  # of all answers; those written are `generated_tokens`


class LoggedFacts(BaseModel):
    """Where answers were given that lm-eval logged, as its own files tell it; empty where they do not."""

    model_config = FROZEN
    files: dict[str, str]  # name -> sha256
    model: str  # as lm-eval was given it
    versions: dict[str, str]  # of lm_eval and transformers there

    @property
    def named(self) -> str:
        """The model as anybody may know it: of a folder its name."""
        return name_of(self.model)


class ScoreFacts(BaseModel):
    """How one contender's answers came about; what is not known of those given elsewhere is None or empty."""

    model_config = FROZEN
    plan_digest: str
    first_score_at: float | None  # seconds since the epoch, before the first exam item was scored
    tasks: tuple[TaskFacts, ...]
    weights_digest: str
    adapter_digest: str | None
    adapter_probe: AdapterProbe | None
    chat_digest: str
    template: dict[str, Any]  # Chat.fingerprint(), prefill and the revision of the checkpoint's own template
    frame_digest: str | None
    decoding: dict[str, Any]
    engine: str
    dtype: str
    batch_tokens: int | None
    samples: int
    extractor: str
    items: int
    generated_tokens: int | None
    served: ServedFacts | None = None  # None: no server was asked
    engine_why: str = ""  # this engine, where the recipe names none; empty where it does
    engine_why_zh: str = ""
    logged: LoggedFacts | None = None  # None: the answers were given to this very stage


class RunManifest(BaseModel):
    """One finished stage of one contender and seed: train.json or score.json."""

    model_config = FROZEN
    stage: Literal["train", "score"]
    contender: str
    seed: int
    fingerprint: str
    started_at: float
    finished_at: float
    device_seconds: float  # wall seconds of work times devices, over every start of this stage
    versions: dict[str, str]
    git: GitState
    hardware: Hardware
    training: TrainFacts | None = None
    scoring: ScoreFacts | None = None

    @classmethod
    def read(cls, path: Path) -> "RunManifest | None":
        """The manifest, or None where the stage is not done. BadInput: another version's, or damaged."""
        try:
            return cls.model_validate_json(path.read_text("utf-8")) if path.is_file() else None
        except (ValidationError, UnicodeDecodeError):
            raise BadInput(
                f"{path}: no manifest that this version writes; move it away, and its stage runs again"
            ) from None

    def write(self, path: Path) -> None:
        write_whole(path, self.model_dump_json(indent=1) + "\n")


class Probed(BaseModel):
    """One real step at a contender's heaviest batch: `finetune.train --probe`."""

    model_config = FROZEN
    contender: str
    fingerprint: str = ""  # of the training that the step is of, under the first seed; empty: not noted
    device: str
    devices: int
    tokens: int  # of the step, padding included, all devices together
    seconds: float  # of the step
    run_tokens: int  # of the whole run, padding included
    peak_memory_bytes: int
    predicted_peak_bytes: int

    @classmethod
    def read(cls, path: Path) -> "Probed | None":
        """What was measured; None where there is no such file, or it is torn or another version's."""
        try:
            return cls.model_validate_json(path.read_text("utf-8")) if path.is_file() else None
        except (ValidationError, UnicodeDecodeError):
            return None
