"""A small server of OpenAI's protocol in a thread of the tests: it does as it is asked, except where told otherwise."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eval.endpoint.probe import INVENT

Reply = tuple[int, dict[str, str], bytes]
Fault = Callable[["Server", BaseHTTPRequestHandler, dict[str, Any]], Reply | None]


class Server:
    """What it answers, what it was asked. `faults` befall the first exam requests, one each; `ignores` are fields that
    it does not read; `say` changes the reply of every request."""

    def __init__(self) -> None:
        self.faults: list[Fault | None] = []
        self.ignores: set[str] = set()
        self.say: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] = lambda body, reply: reply
        self.seen: list[dict[str, Any]] = []  # bodies of exam requests, with the time under `at`
        self.probed: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.url, self.lock = "", threading.Lock()
        self.ids_of_probe: set[tuple[int, ...]] = set()
        self.drawn = itertools.count()  # what it draws by, where it is given no seed

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> Reply | None:
        asked = json.dumps(body.get("messages") or body.get("prompt"), ensure_ascii=False)
        known = isinstance(body.get("prompt"), list) and tuple(body["prompt"]) in self.ids_of_probe
        probing = "7Q2-4418-kestrel" in asked or known
        with self.lock:
            (self.probed if probing else self.seen).append(body | {"at": time.monotonic()})
            fault = self.faults.pop(0) if self.faults and not probing else None
        if fault:
            return fault(self, handler, body)
        return 200, {}, json.dumps(self.say(body, self.reply(body, asked, probing))).encode()

    def reply(self, body: dict[str, Any], asked: str, probing: bool) -> dict[str, Any]:
        known = {key: value for key, value in body.items() if key not in self.ignores}
        narrow = known.get("temperature") == 0 or known.get("top_p", 1) < 0.01 or known.get("top_k") == 1
        drawn = "" if narrow else str(known.get("seed", f"drawn {next(self.drawn)}"))
        if "temperature" in self.ignores:
            drawn = f"drawn {next(self.drawn)}"
        mark = hashlib.sha256((asked + drawn).encode()).hexdigest()
        text = mark if probing else "ABC"[int(mark, 16) % 3]
        prompt = body.get("prompt")
        count = len(prompt) if isinstance(prompt, list) else 30
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        choice |= {"text": text} if "prompt" in body else {"message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": count, "completion_tokens": 4, "total_tokens": count + 4}
        return {"model": "a-model-0926", "system_fingerprint": "fp_1", "choices": [choice], "usage": usage}


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.headers.append({name.title(): value for name, value in self.headers.items()})
            server.paths.append(self.path)
            found = server.answer(self, body)
            if found is None:
                self.close_connection = True
                return
            status, headers, raw = found
            try:
                self.send_response(status)
                for name, value in {"content-length": str(len(raw)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)
            except OSError:  # whoever asked has gone
                self.close_connection = True

        def log_message(self, *words: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Quiet(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}/v1"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()


def busy(server: Server, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> Reply:
    return 429, {"retry-after": "2"}, b'{"error": {"message": "slow down"}}'


def broken(server: Server, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> Reply:
    return 500, {}, b"<html>Internal error</html>"


def hang(server: Server, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    time.sleep(4)


def drip(server: Server, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    """Keeps the connection alive with blank lines, and never answers."""
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    try:
        for _ in range(40):
            handler.wfile.write(b"\n")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass


def cut_off(server: Server, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()


def torn(server: Server, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> Reply:
    return 200, {}, b'{"choices": [{"message": {"content": "A"'


def elsewhere(server: Server, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> Reply:
    """Good JSON without an answer, as some proxies give."""
    return 200, {}, b'{"error": "upstream is away"}'


def overloaded(server: Server, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> Reply:
    """DeepSeek's word for an answer that its machines broke off."""
    reply = server.reply(body, "", False)
    reply["choices"][0]["finish_reason"] = "insufficient_system_resource"
    return 200, {}, json.dumps(reply).encode()


def refusing(status: int, raw: bytes, **headers: str) -> Fault:
    return lambda server, handler, body: (status, headers, raw)


assert INVENT.startswith("Note 7Q2-4418-kestrel")
