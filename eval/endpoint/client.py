"""The client: one request, sent again while what went wrong may pass, and never longer than it may take.

What may pass: no connection or a cut one, a timeout, status 408, 409, 425, 429 and 5xx, and a reply that is not whole.
Every other status is an answer: that the request is refused. Redirects are not followed. The key goes into one header
and is taken out of every text that is shown.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2 as httpx

from finetune.mistakes import BadInput
from finetune.recipe import OpenAI, is_loopback

PASSING = {408, 409, 425, 429}  # and 5xx
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds of backoff
LONGEST_HOLD = 600.0  # seconds: a server that asks for more (a spent quota) is not waited for
CONNECT = 10.0  # seconds
LARGEST = 1 << 26  # bytes of a reply
WITHHELD = "***"
SHOWN = 1 << 16  # bytes of a refusal that is no JSON in which the key is looked for
SECRET = 8  # letters from which on a key is no word that an answer may hold


class Refused(BadInput):  # noqa: N818 (as its parent: it names what was given)
    """The server understood and declined; `status` is HTTP's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Pace:
    """When the next request may begin: requests a minute, and pauses that the server asked for. Shared by threads."""

    per_minute: float | None
    stop: threading.Event

    def __post_init__(self) -> None:
        self._lock, self._next = threading.Lock(), 0.0

    def wait(self) -> None:
        """Until a slot is there; at once when all has ended."""
        with self._lock:
            begin = max(time.monotonic(), self._next)
            self._next = begin + (60 / self.per_minute if self.per_minute else 0)
        self.stop.wait(max(0.0, begin - time.monotonic()))

    def hold(self, seconds: float) -> None:
        """Nobody begins before that."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


@dataclass
class Meter:
    """Wall time shared out over the requests under way, so that shares sum to the time in which any was."""

    def __post_init__(self) -> None:
        self._lock, self._active, self._share, self._seen = threading.Lock(), 0, 0.0, time.perf_counter()

    def begin(self) -> float:
        with self._lock:
            self._move(1)
            return self._share

    def end(self, begun: float) -> float:
        """Seconds of this request's share."""
        with self._lock:
            self._move(-1)
            return self._share - begun

    def _move(self, change: int) -> None:
        now = time.perf_counter()
        if self._active:
            self._share += (now - self._seen) / self._active
        self._seen, self._active = now, self._active + change


class Client:
    """One server. Threads may ask at the same time."""

    def __init__(self, engine: OpenAI, key: str | None) -> None:
        self.engine, self._key = engine, key
        self.stop = threading.Event()
        self.retried = 0
        self._pace, self._meter = Pace(engine.requests_per_minute, self.stop), Meter()
        patience = httpx.Timeout(engine.timeout_s, connect=min(CONNECT, engine.timeout_s), pool=None)
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=patience,
            limits=httpx.Limits(max_connections=engine.concurrency),
            follow_redirects=False,
            trust_env=not is_loopback(engine.url),  # a proxy of the environment is no way to this machine
        )
        self._path = engine.url + ("/chat/completions" if engine.api == "chat" else "/completions")

    def close(self) -> None:
        """End what is under way: waits are over, connections cut."""
        self.stop.set()
        self._http.close()

    def ask(self, body: Mapping[str, Any], read: Callable[[Any], Any]) -> tuple[Any, float]:
        """What `read` makes of the reply (ValueError: not a whole one), and its share of the seconds.

        Refused: a status that will not pass. BadInput: `retries` were not enough.
        """
        fault = ""
        for attempt in range(self.engine.retries + 1):
            if attempt:
                self.retried += 1
                self.stop.wait(random.uniform(0.5, 1) * min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)))
            self._pace.wait()
            if self.stop.is_set():
                raise BadInput(f"{self.engine.host}: ended before an answer")
            try:
                found, seconds = self._timed(body)
                return read(found), seconds
            except (httpx.HTTPError, ValueError) as problem:
                if isinstance(problem, BadInput):
                    raise
                fault = self._clean(f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__)
            except RuntimeError:  # closed meanwhile
                if not self.stop.is_set():
                    raise
        raise BadInput(
            f"{self.engine.host}: gave up after {self.engine.retries + 1} tries, the last: {fault}; see that it is "
            f"up, or raise engine.retries or engine.timeout_s"
        )

    def _timed(self, body: Mapping[str, Any]) -> tuple[Any, float]:
        begun = self._meter.begin()
        try:
            status, headers, raw = self._send(body)
        finally:
            seconds = self._meter.end(begun)
        if status == 200:
            return self._parsed(raw), seconds
        said = self._clean(_message(raw))
        if status in PASSING or status >= 500:
            self._hold(headers.get("retry-after"), status, said)
            raise ValueError(f"status {status}: {said}")
        raise Refused(status, f"{self.engine.host}: {_reason(status)}{said}")

    def _send(self, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and bytes. httpx counts its timeout anew with every byte; the whole is counted here."""
        end, raw = time.monotonic() + self.engine.timeout_s, bytearray()
        with self._http.stream("POST", self._path, json=dict(body)) as reply:
            for piece in reply.iter_bytes():
                raw += piece
                if time.monotonic() > end:
                    raise ValueError(f"not whole after {self.engine.timeout_s:g} s")
                if len(raw) > LARGEST:
                    raise ValueError(f"larger than {LARGEST >> 20} MiB")
            return reply.status_code, reply.headers, bytes(raw)

    def _hold(self, asked: str | None, status: int, said: str) -> None:
        seconds = _seconds(asked)
        if seconds > LONGEST_HOLD:
            raise Refused(status, f"{self.engine.host}: status {status}, come back in {seconds:.0f} s; {said}")
        if seconds:
            self._pace.hold(seconds)

    def _parsed(self, raw: bytes) -> Any:
        """JSON; servers that keep a waiting connection alive send blank lines before it."""
        try:
            return self._blind(json.loads(raw))
        except (ValueError, RecursionError):
            raise ValueError(f"a reply of {len(raw)} bytes that is no whole JSON") from None

    def _blind(self, found: Any) -> Any:
        """A reply without the key, however its JSON spelled it: a proxy that shows what it was sent would write it into
        the item log."""
        if isinstance(found, dict):
            return {self._blind(name): self._blind(value) for name, value in found.items()}
        if isinstance(found, list):
            return [self._blind(value) for value in found]
        if isinstance(found, str) and self._key and len(self._key) >= SECRET:
            return found.replace(self._key, WITHHELD)
        return found

    def _clean(self, text: str) -> str:
        """One line without the key, cut short."""
        line = " ".join(text.split())
        return (line.replace(self._key, WITHHELD) if self._key else line)[:300]


def _message(raw: bytes) -> str:
    """The server's own words about its refusal, whatever form they have."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return raw[:SHOWN].decode("utf-8", "replace")  # what is shown of it is cut once the key is out
    while isinstance(found, dict):
        found = next((found[key] for key in ("error", "message", "detail") if found.get(key)), json.dumps(found))
    return str(found)


def _reason(status: int) -> str:
    if 300 <= status < 400:
        return f"status {status}, a redirect, which is not followed; correct engine.url. "
    return {
        401: "status 401, the key is not accepted (engine.key_env). ",
        402: "status 402, the account is empty. ",
        404: "status 404, no such address or model (engine.url up to /v1, engine.model). ",
    }.get(status, f"status {status}: ")


def _seconds(asked: str | None) -> float:
    """Of a Retry-After header: a number, or a date. What cannot be read asks for nothing."""
    try:
        return max(0.0, float(asked or 0))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(asked or "")
        return max(0.0, (when.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
