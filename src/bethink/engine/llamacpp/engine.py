"""`LlamaCppEngine`: starts become requests to the server process, and its events become tokens.

Owns which starts run and which wait, and one thread with an event loop that does all talking. What always holds: no
more paths are requested than the server has slots, none whose tokens would not fit the cache, and none while a
cancelled one is still being ended, so that a start after a cancel finds its prefix in the cache.

Departures: tokens in the middle of a character come with no logprob (the server keeps it); when they cannot be told
from the text, or the stream ends among them, they are sampled again, unseen by anyone, with a seed derived from theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bethink.engine.limits import refuse_the_impossible
from bethink.engine.llamacpp.completion import Chunk, Completion, body
from bethink.engine.llamacpp.pieces import Pieces
from bethink.engine.llamacpp.process import ServerProcess
from bethink.engine.llamacpp.run import LlamaCppStream, Run, copy_of
from bethink.engine.llamacpp.settings import SLACK_TOKENS, LlamaCppSettings, choose, n_cores
from bethink.engine.protocol import EngineInfo, Token
from bethink.errors import BethinkError, EngineClosed, EngineError, EngineMissing, UsageError
from bethink.store.gguf import read_header
from bethink.store.shape import shape_from_gguf
from bethink.types import Sampling

_REFUSED = "failed to compile JSON schema"
_LOAD_HINT = "`bethink doctor` shows what this machine has; a smaller context or model may fit."


class LlamaCppEngine:
    """Loads `gguf_path` in a process of its own and returns at once; `wait_until_loaded` (or a reader) hears of errors.

    `kv_gb` bounds the cache's memory; `settings` overrides every choice.

    Raises: EngineMissing, InvalidModelFile, DoesNotFit.
    """

    def __init__(
        self, gguf_path: Path, sha256: str, *, kv_gb: float | None = None, settings: LlamaCppSettings | None = None
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise EngineMissing("xllamacpp is not installed", "pip install 'bethink[llamacpp]'")
        header = read_header(gguf_path)
        shape = shape_from_gguf(header)
        self._pieces = Pieces(header.metadata)
        self._settings = settings = settings or choose(shape, kv_gb=kv_gb, free_gb=_free_gb())
        self._info = EngineInfo(
            name="llamacpp",
            model_sha256=sha256,
            context_length=min(shape.context_length - 2, settings.path_tokens),
            kv_tokens=settings.kv_tokens,
            capabilities=frozenset({"logprobs", "top_logprobs", "json_schema", "penalties"}),
            settings=settings.describe(),
        )
        self._key = secrets.token_urlsafe()
        self._process = ServerProcess(_wish(gguf_path, settings, self._key))
        self._waiting: deque[Run] = deque()
        self._running: set[Run] = set()
        self._ending: set[Run] = set()
        self._approved: set[str] = set()
        self._approving = asyncio.Lock()
        self._address: tuple[str, int] | None = None
        self._failure: EngineError | None = None
        self._loaded = threading.Event()
        self._lock = threading.RLock()  # re-entered when a stream is garbage collected inside it
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._talk, name="bethink-llamacpp", daemon=True)
        self._thread.start()

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def server_pid(self) -> int:
        return self._process.pid

    def wait_until_loaded(self) -> None:
        """Raises: EngineError (the model cannot be loaded), EngineClosed."""
        self._loaded.wait()
        if self._failure is not None:
            raise copy_of(self._failure)
        if self._is_closed:
            raise EngineClosed("the engine was closed while it loaded")

    def start(self, ids: Sequence[int], sampling: Sampling) -> LlamaCppStream:
        """Raises: ContextFull, CapabilityMissing, UsageError, EngineClosed."""
        refuse_the_impossible(self._info, ids, sampling, len(self._pieces))
        _refuse_odd_schema(sampling.json_schema)
        run = Run(tuple(ids), sampling)
        self._tell(self._enqueue, run)
        return LlamaCppStream(run, self.cancel)

    def cancel(self, run: Run) -> None:
        """From any thread; streams call it when they are cancelled or collected."""
        run.cancel()
        with contextlib.suppress(EngineClosed):
            self._tell(self._hang_up, run)

    def close(self) -> None:
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._process.kill()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)

    def _tell(self, what: Any, run: Run) -> None:
        with self._lock:  # what is told before the engine closes is heard, if only in its winding up
            if self._is_closed:
                raise EngineClosed(str(self._failure or "the engine is closed"))
            self._loop.call_soon_threadsafe(what, run)

    # From here on, all on the talking thread.

    def _talk(self) -> None:
        self._address = self._process.wait_for_address()
        if self._address is None and not self._is_closed:
            self._fail(EngineError(f"llama.cpp cannot load the model: {self._process.last_words()}", _LOAD_HINT))
        self._loaded.set()
        if not self._is_closed:
            self._loop.run_forever()
        self._wind_up()

    def _wind_up(self) -> None:
        running = list(self._running)
        self._loop.run_until_complete(_cancel_all())  # which also hears the last starts
        for run in (*self._waiting, *running):
            run.end(None, self._obituary())
        self._loop.close()
        self._process.kill()
        self._process.free()

    def _obituary(self) -> BethinkError:
        return copy_of(self._failure or EngineClosed("the engine was closed while this stream ran"))

    def _enqueue(self, run: Run) -> None:
        self._waiting.append(run)
        self._admit()

    def _hang_up(self, run: Run) -> None:
        if run in self._running:
            self._ending.add(run)
            if run.completion is not None:
                run.completion.hang_up()
        elif run in self._waiting:
            self._waiting.remove(run)
            self._admit()

    def _admit(self) -> None:
        while (
            self._waiting and not (self._ending or self._is_closed) and len(self._running) < self._settings.n_parallel
        ):
            n_used = sum(run.n_tokens for run in self._running)
            if n_used + self._waiting[0].n_tokens > self._settings.kv_tokens:
                return
            run = self._waiting.popleft()
            self._running.add(run)
            run.task = self._loop.create_task(self._run(run))

    async def _run(self, run: Run) -> None:
        try:
            if run.sampling.json_schema is not None:
                await self._approve(run, run.sampling.json_schema)
            while not run.is_over:
                await self._stretch(run)
        except (OSError, EOFError):
            if not run.is_over:  # else the server has hung up after we did
                self._die()
                run.end(None, self._obituary())
        except BethinkError as error:
            run.end(None, error)
        except Exception as error:  # noqa: BLE001  a reader must never wait for a run that is gone
            run.end(None, EngineError(f"reading from llama.cpp failed: {error!r}"))
        finally:
            self._running.discard(run)
            self._ending.discard(run)
            self._admit()

    def _die(self) -> None:
        if self._is_closed:
            return
        self._fail(EngineClosed(f"the llama.cpp process died: {self._process.last_words()}", _LOAD_HINT))
        self._loop.stop()

    def _fail(self, error: EngineError) -> None:
        with self._lock:
            self._failure, self._is_closed = error, True

    async def _approve(self, run: Run, schema: str) -> None:
        """llama.cpp answers freely to a schema that it cannot compile, and only its log says so: try it first."""
        async with self._approving:
            if schema in self._approved or run.is_over:
                return
            n_said = self._process.n_said
            request = body(run.ids[-1:], run.sampling, 1, 0, is_streamed=False)
            completion = await Completion.open(self._address_now(), self._key, request)
            async for _ in completion.chunks():
                pass
            completion.drop()
            refusals = [line for line in self._process.said(n_said) if _REFUSED in line]
            if refusals:
                why = refusals[-1].partition(_REFUSED)[2]
                raise UsageError(f"llama.cpp cannot hold an answer to this JSON schema{why}", "Try a simpler schema.")
            self._approved.add(schema)

    def _address_now(self) -> tuple[str, int]:
        assert self._address is not None
        return self._address

    async def _stretch(self, run: Run) -> None:
        """Stream until the run is over, or until tokens were lost that must be sampled again."""
        n_seen = n_new = 0
        completion = await self._open(run, run.sampling.max_tokens - len(run.said), is_streamed=True)
        try:
            async for chunk in completion.chunks():
                if chunk.n_cached is not None and not run.said:
                    run.n_cached = chunk.n_cached
                n_new = chunk.n_sampled - n_seen
                tokens = self._told(chunk, n_new, run.sampling.top_logprobs)
                if tokens is None:
                    break
                n_seen += len(tokens)
                for token in tokens:
                    self._take(run, token)
                if run.is_over:
                    break
            else:
                n_new = 0
            self._ending.add(run)
            completion.hang_up()
            await completion.wait_until_gone()
        finally:
            run.completion = None
            completion.drop()
            self._ending.discard(run)
        if n_new and not run.is_over:
            await self._again(run, n_new)

    def _take(self, run: Run, token: Token) -> None:
        """A control token that nobody asked to stop at ends an answer to a schema, and is no part of it."""
        is_control = run.sampling.json_schema is not None and not self._pieces.bytes_of(token.id)
        if is_control and token.id not in run.sampling.stop_ids:
            run.end("stop")
        else:
            run.append(token)

    def _told(self, chunk: Chunk, n_new: int, n_top: int) -> list[Token] | None:
        """The tokens since the last chunk. None: they cannot be told."""
        if n_new == 0:
            return []
        if not chunk.tokens:
            return None
        last = chunk.tokens[-1]
        before = self._pieces.between(chunk.text, last, n_new - 1) if n_new > 1 else []
        if before is None:
            return None
        likely = chunk.logprobs[-1] if chunk.logprobs else None
        return [*map(Token, before), likely.token(n_top) if likely else Token(last)]

    async def _again(self, run: Run, n_tokens: int) -> None:
        """Sample tokens that nobody saw once more, in a request whose answer names them all."""
        if run.sampling.json_schema is not None:
            raise EngineError("llama.cpp lost count of a constrained answer", "Ask again with another seed.")
        completion = await self._open(run, n_tokens, is_streamed=False)
        try:
            last = [chunk async for chunk in completion.chunks()][-1]
        finally:
            run.completion = None
            completion.drop()
        if not last.tokens:
            raise EngineError("llama.cpp sampled nothing", "Please report this with the model's name.")
        likely = {one.id: one.token(run.sampling.top_logprobs) for one in last.logprobs}
        for token in last.tokens:
            run.append(likely.get(token, Token(token)))

    async def _open(self, run: Run, n_tokens: int, *, is_streamed: bool) -> Completion:
        seed = run.sampling.seed + 7919 * len(run.said)
        if run.sampling.json_schema is not None:
            n_tokens += 3  # so that the last character is completed, and told
        request = body([*run.ids, *run.said], run.sampling, n_tokens, seed, is_streamed=is_streamed)
        run.completion = await Completion.open(self._address_now(), self._key, request)
        if run.is_over:
            run.completion.hang_up()
        return run.completion


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _free_gb() -> float:
    import psutil

    return psutil.virtual_memory().available / 1e9


def _wish(path: Path, settings: LlamaCppSettings, key: str) -> dict[str, Any]:
    extra = SLACK_TOKENS if settings.is_kv_shared else SLACK_TOKENS * settings.n_parallel
    return {
        "path": str(path),
        "n_ctx": settings.kv_tokens + extra,
        "n_parallel": settings.n_parallel,
        "is_kv_shared": settings.is_kv_shared,
        "n_ubatch": settings.n_ubatch,
        "n_gpu_layers": settings.n_gpu_layers,
        "n_threads": settings.n_threads or n_cores(),
        "key": key,
    }


def _refuse_odd_schema(schema: str | None) -> None:
    if schema is None:
        return
    try:
        value: object = json.loads(schema)
    except ValueError as error:
        raise UsageError(f"the JSON schema is not JSON: {error}") from None
    if not isinstance(value, dict | bool):
        raise UsageError("the JSON schema is not an object")
