"""Engines: who runs a contender's model. `hf` is transformers and `vllm` is vLLM, both in this process, and `auto` one
of the two for a whole study; `openai` is a server that speaks OpenAI's protocol (vLLM, SGLang, DeepSeek's API), which
is asked for written answers only.

A key never stands in a recipe: `key_env` names the environment variable that holds it.
"""

import ipaddress
import json
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    field_validator,
    model_validator,
)

from finetune.recipe.prices import Quote

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
HERE = ("auto", "hf", "vllm")  # kinds of this process, known by their name alone
SECRET = re.compile(r"\b(?:sk|pk|hf|gsk|xai|Bearer)[-_ ][A-Za-z0-9_-]{12,}")  # how the trade's keys begin
SECRET_NAME = re.compile(r"key|token$|secret|password|authoriz|^auth|^headers?$", re.I)
ENVIRONMENT = (
    "keys do not stand in recipes; put it into the environment and name the variable: key_env: DEEPSEEK_API_KEY"
)
OURS = {"model", "messages", "prompt", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "n", "stream"}


def is_loopback(url: str) -> bool:
    """Whether what is sent to a URL stays on this machine. A name counts only if it is `localhost`."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url(url: str) -> str:
    """A server's address without credentials and without a closing slash. What is refused is not repeated."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("no address of a server; give one such as http://127.0.0.1:8000/v1") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("no address of a server; give one such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"holds more than an address (user, password or ?query); {ENVIRONMENT}")
    return url.rstrip("/")


def _variable(name: str) -> str:
    """The name of an environment variable: a key pasted here is refused, and not repeated."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", name):
        raise ValueError(f"no name of an environment variable (A-Z, 0-9, _); {ENVIRONMENT}")
    return name


class Auto(BaseModel):
    """vLLM or transformers, the same for a whole study: decided where scoring first begins (engine_choice), and kept in
    the run's attempts.jsonl from then on."""

    model_config = FROZEN
    kind: Literal["auto"] = "auto"


class HF(BaseModel):
    """transformers, in this process."""

    model_config = FROZEN
    kind: Literal["hf"] = "hf"


class VLLM(BaseModel):
    """vLLM, in this process: dtype is the model's, the length is what the exam needs, `exam.batch_tokens` go through it
    at once. Its knobs are the machine's, and no part of a fingerprint."""

    model_config = FROZEN
    kind: Literal["vllm"]
    tensor_parallel: int = Field(
        1, ge=1, description="Devices of this machine over which each layer is split: for a model too large for one"
    )
    gpu_memory_utilization: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Share of a device's memory that vLLM takes (on processors: of the machine's): more holds more "
        "answers at once; options by likelihood take batch_tokens x vocabulary x 8 bytes beside it",
    )


class OpenAI(BaseModel):
    """A server that speaks OpenAI's protocol."""

    model_config = FROZEN
    kind: Literal["openai"]
    url: Annotated[str, AfterValidator(_url)] = Field(
        description="Address up to /v1, such as http://127.0.0.1:8000/v1; part of the score's fingerprint"
    )
    model: str = Field(min_length=1, description="The name under which the server knows the model")
    api: Literal["chat", "completions"] = Field(
        "chat",
        description="completions: our rendering of the prompt, as for hf; chat: messages, in the server's template, "
        "which the gates cannot check",
    )
    key_env: Annotated[str, AfterValidator(_variable)] | None = Field(
        None, description="Environment variable that holds the key; none is sent without it"
    )
    allow_remote: bool = Field(
        False, description="Leave to send the exam's questions off this machine; needed for any address but a loopback"
    )
    sampling: Literal["asked", "server"] = Field(
        "asked",
        description="asked: temperature, top_p, top_k and seed of the model's `decoding`, proven before the exam; "
        "server: none of them is sent, the server draws as it likes (APIs of reasoning models take no temperature)",
    )
    body: dict[str, Any] = Field(
        {}, description="Further fields of every request, such as {chat_template_kwargs: {enable_thinking: false}}"
    )
    concurrency: int = Field(
        8, ge=1, le=512, description="Requests under way at a time; more is faster until it queues"
    )
    timeout_s: float = Field(
        120, gt=0, description="Seconds until one request is given up and sent again; over the longest answer's time"
    )
    retries: int = Field(
        5, ge=0, description="How often a request that failed is sent again, after 0.5, 1, 2, ... s, before all end"
    )
    requests_per_minute: float | None = Field(None, gt=0, description="Most requests that begin in a minute; none: any")
    price_in: float | None = Field(
        None, ge=0, description="Of a million prompt tokens, in the recipe's currency; instead of the device's hours"
    )
    price_out: float | None = Field(None, ge=0, description="Of a million written tokens, thought included")
    price_cached: float | None = Field(
        None, ge=0, description="Of a million prompt tokens that the server had kept; without it as price_in"
    )
    cached_share: float = Field(
        0, ge=0, le=1, description="Share of a query's prompt tokens that the server will have kept; more: cheaper"
    )
    tariff: str | None = Field(
        None, description="Name of a dated default (prices.yaml), taken where price_in and price_out are not given"
    )
    quote: Quote | None = Field(None, description="Where the prices are from, written when a default is taken")

    @model_validator(mode="before")
    @classmethod
    def _no_key(cls, raw: Any) -> Any:
        for name in raw if isinstance(raw, dict) else ():
            if SECRET_NAME.search(str(name)) and name not in cls.model_fields:
                raise ValueError(f"{name}: {ENVIRONMENT}")
        return raw

    @field_validator("body")
    @classmethod
    def _plain_body(cls, body: dict[str, Any]) -> dict[str, Any]:
        ours = sorted(OURS & body.keys())
        if ours:
            raise ValueError(f"{ours[0]} is set from the recipe's own keys; leave it out of body")
        for name, value in _leaves(body):
            if SECRET_NAME.search(name) or SECRET.search(str(value)):
                raise ValueError(f"{name} looks like a key; {ENVIRONMENT}")
        try:
            json.dumps(body, allow_nan=False)
        except (TypeError, ValueError) as fault:
            raise ValueError(f"cannot be sent as JSON ({fault}); quote a date, and give finite numbers") from None
        return body

    @model_validator(mode="after")
    def _fits(self) -> "OpenAI":
        if not is_loopback(self.url) and not self.allow_remote:
            raise ValueError(
                f"url: {self.host} is not this machine, and the exam's questions would leave it; say "
                f"allow_remote: true if they may"
            )
        if self.key_env and self.url.startswith("http://") and not is_loopback(self.url):
            raise ValueError("url: a key would go over the network in the clear; use https")
        if SECRET.search(self.model):
            raise ValueError(f"model: looks like a key; {ENVIRONMENT}")
        if (self.price_in is None) != (self.price_out is None):
            raise ValueError("price_in and price_out belong together: give both, or none")
        if self.quote:
            self.quote.told(self.price_out, self.quote.name)
        if self.price_in is None and self.price_cached is not None:
            raise ValueError("price_cached: says what kept tokens cost, not the others; give price_in and price_out")
        return self

    @property
    def host(self) -> str:
        """Host and port, as a person would name the server."""
        return urlsplit(self.url).netloc

    @property
    def priced(self) -> bool:
        """Whether tokens are paid for, not devices."""
        return self.price_in is not None

    def price(self, tokens_in: float, tokens_out: float) -> float:
        """Of so many tokens, in the recipe's currency, none of them kept; 0 where no price is declared."""
        return ((self.price_in or 0) * tokens_in + (self.price_out or 0) * tokens_out) / 1e6

    def query_price(self, tokens_in: float, tokens_out: float) -> float:
        """Of one query to come, of whose prompt the server has kept the declared share."""
        whole = self.price_in or 0
        kept = whole if self.price_cached is None else self.price_cached
        return self.price(tokens_in, tokens_out) - self.cached_share * (whole - kept) * tokens_in / 1e6

    def identity(self) -> dict[str, Any]:
        """What an answer depends on: not how fast, how often or at what price it was asked."""
        return self.model_dump(mode="json", include={"kind", "url", "model", "api", "sampling", "body"})


def _leaves(value: Any, name: str = "body") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, each in value.items() for leaf in _leaves(each, str(key))]
    if isinstance(value, list):
        return [leaf for each in value for leaf in _leaves(each, name)]
    return [(name, value)]


def _named(value: Any) -> Any:
    """`auto`, `hf` or `vllm` alone is its kind. What else is no mapping might be a key, so it is not repeated."""
    if value in HERE:
        return {"kind": value}
    if isinstance(value, dict) and value.get("kind") not in (*HERE, "openai"):
        raise ValueError("kind must be auto, hf, vllm or openai")
    if not isinstance(value, dict | Auto | HF | VLLM | OpenAI):
        raise ValueError(
            "must be auto, hf, vllm or a mapping: {kind: openai, url: http://127.0.0.1:8000/v1, model: name}"
        )
    return value


Engine = Annotated[Auto | HF | VLLM | OpenAI, Discriminator("kind")]
AnyEngine = Annotated[Engine, BeforeValidator(_named)]
