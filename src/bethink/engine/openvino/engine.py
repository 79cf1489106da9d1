"""The default engine on CPUs: OpenVINO GenAI's continuous batching over paged attention with prefix caching.

Owns which starts run and which wait, delivery of tokens to the readers' event loops, and the worker's life: a worker
that dies is started again and every unfinished run goes on from the ids it had. The model itself lives in that worker
(see `worker` for why). What always holds: the runs in the worker never need more cache than it has, because each
reserves room for its ids and for all of its `max_tokens`; the rest waits in the order of their starts.

Departures: a run that was resumed after a death continues with a seed derived from its own, so it is sound but not
repeatable; tokens of one step arrive together, in one wake-up per event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bethink.engine.limits import refuse_the_impossible
from bethink.engine.openvino import wire
from bethink.engine.openvino.process import WorkerProcess
from bethink.engine.openvino.reading import BLOCK_TOKENS
from bethink.engine.openvino.settings import OpenVinoSettings
from bethink.engine.protocol import EngineInfo, StreamFinish, Token
from bethink.errors import EngineClosed, EngineError, UsageError
from bethink.types import Sampling

MAX_RUNNING = 256
MAX_DEATHS = 2
"""A worker that dies so often in a row without bringing a token is not started again."""


@dataclass(slots=True, eq=False)
class _Run:
    """One start. Guarded by the engine's lock, but for `buffer` and `waiter`, which the reader empties and owns."""

    number: int
    ids: list[int]
    sampling: Sampling
    n_blocks: int
    buffer: deque[Token] = field(default_factory=deque[Token])
    said: list[int] = field(default_factory=list[int])
    is_sent: bool = False
    finish: StreamFinish | None = None
    error: EngineError | None = None
    loop: asyncio.AbstractEventLoop | None = None
    waiter: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        return self.finish is not None or self.error is not None

    def wake(self) -> None:
        """On the reader's loop."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def rest(self) -> tuple[list[int], Sampling]:
        """The ids to start from and what is still to be sampled."""
        n_said = len(self.said)
        if not n_said:
            return self.ids, self.sampling
        left = replace(
            self.sampling, max_tokens=self.sampling.max_tokens - n_said, seed=self.sampling.seed + 7919 * n_said
        )
        return self.ids + self.said, left


class OpenVinoEngine:
    """Loads `model_dir` in a worker process and returns at once; `wait_until_loaded` (or a reader) hears of errors.

    `settings` say how many tokens of cache, threads and hints (see `settings.choose`).
    """

    def __init__(self, model_dir: Path, sha256: str, settings: OpenVinoSettings) -> None:
        self._settings = settings
        self._info = EngineInfo(
            name="openvino",
            model_sha256=sha256,
            context_length=settings.shape.context_length,
            kv_tokens=settings.n_kv_blocks * BLOCK_TOKENS,
            capabilities=frozenset({"logprobs", "json_schema", "penalties"}),
            settings=settings.describe(),
        )
        self._load = wire.Load(
            str(model_dir), settings.n_kv_blocks, settings.tuning.max_batched_tokens, settings.tuning.properties()
        )
        self._lock = threading.RLock()  # re-entered when a stream is garbage collected inside it
        self._waiting: deque[_Run] = deque()
        self._running: dict[int, _Run] = {}
        self._n_free = settings.n_kv_blocks
        self._n_starts = 0
        self._n_deaths = 0
        self._n_restarts = 0
        self._is_closed = False
        self._failure: EngineError | None = None
        self._loaded = threading.Event()
        self._worker = WorkerProcess(self._load)
        self._listener = threading.Thread(target=self._listen, name="bethink-openvino", daemon=True)
        self._listener.start()

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def worker_pid(self) -> int:
        return self._worker.pid

    @property
    def n_restarts(self) -> int:
        """How often the worker died and was started again."""
        return self._n_restarts

    def wait_until_loaded(self) -> None:
        """Raises: EngineError (the model cannot be loaded), EngineClosed."""
        self._loaded.wait()
        with self._lock:
            if self._failure is not None:
                raise _copy(self._failure)
            if self._is_closed:
                raise EngineClosed("the engine was closed while it loaded")

    def start(self, ids: Sequence[int], sampling: Sampling) -> OpenVinoStream:
        """Raises: ContextFull, CapabilityMissing, UsageError, EngineClosed."""
        refuse_the_impossible(self._info, ids, sampling, self._settings.shape.n_vocab)
        _refuse_odd(sampling)
        with self._lock:
            if self._is_closed:
                raise EngineClosed(str(self._failure or "the engine is closed"))
            self._n_starts += 1
            n_blocks = min(-(-(len(ids) + sampling.max_tokens) // BLOCK_TOKENS), self._settings.n_kv_blocks)
            run = _Run(self._n_starts, list(ids), sampling, n_blocks)
            self._waiting.append(run)
            self._admit()
        return OpenVinoStream(self, run)

    def cancel(self, run: _Run) -> None:
        """From any thread; streams call it when they are cancelled or collected."""
        with self._lock:
            if run.is_over and not run.buffer:
                return
            run.buffer.clear()
            was_over = run.is_over
            if run.error is None:
                run.finish = "cancelled"
            if not was_over:
                if run.is_sent:
                    self._worker.send(wire.cancel_message(run.number))
                self._release(run)
                self._admit()
        _wake([run])

    def close(self) -> None:
        with self._lock:
            runs = self._give_up(EngineClosed("the engine was closed while this stream ran"))
        _wake(runs)
        self._worker.kill()
        self._loaded.set()
        if threading.current_thread() is not self._listener:
            self._listener.join(timeout=10)

    # Runs. All with the lock held.

    def _admit(self) -> None:
        while self._waiting and len(self._running) < MAX_RUNNING and self._waiting[0].n_blocks <= self._n_free:
            run = self._waiting.popleft()
            self._n_free -= run.n_blocks
            self._running[run.number] = run
            self._send(run)

    def _send(self, run: _Run) -> None:
        ids, sampling = run.rest()
        run.is_sent = True
        self._worker.send(wire.start_message(run.number, ids, sampling))

    def _release(self, run: _Run) -> None:
        if self._running.pop(run.number, None) is not None:
            self._n_free += run.n_blocks
        elif run in self._waiting:
            self._waiting.remove(run)

    def _give_up(self, error: EngineClosed) -> list[_Run]:
        """Close for good. Returns the runs whose readers must hear of it."""
        self._is_closed = True
        runs = [*self._running.values(), *self._waiting]
        self._running.clear()
        self._waiting.clear()
        for run in runs:
            run.error = error
        return runs

    # What the worker says. On the listening thread.

    def _listen(self) -> None:
        while True:
            worker = self._worker
            while (message := worker.receive()) is not None:
                self._hear(message)
            goes_on = self._survive(worker)
            worker.free()
            if not goes_on:
                return

    def _hear(self, message: list[Any]) -> None:
        match message:
            case ["tokens", news]:
                self._take(news)
            case ["refused", run, why]:
                self._refuse(run, why)
            case ["failed", why]:
                self._fail(EngineError(f"OpenVINO cannot load the model: {_first_lines(why)}", _LOAD_HINT))
            case _:
                self._loaded.set()

    def _take(self, news: list[list[Any]]) -> None:
        with self._lock:
            self._n_deaths = 0
            told = [run for item in news if (run := self._running.get(item[0])) and self._append(run, *item[1:])]
            self._admit()
        _wake(told)

    def _append(self, run: _Run, ids: list[int], logprobs: list[float], end: str | None) -> bool:
        """Give a run what a step brought. False: nothing for its reader."""
        asked = run.sampling
        for token, logprob in zip(ids, logprobs, strict=True):
            run.said.append(token)
            run.buffer.append(Token(token, logprob if asked.logprobs else None))
            if token in asked.stop_ids:
                run.finish = "stop"
            elif len(run.said) >= asked.max_tokens:
                run.finish = "length"
            if run.finish:
                break
        if end == "done" and run.finish is None:
            run.finish = "stop"  # a schema was fulfilled
        if run.finish is not None:
            self._release(run)
        elif end == "starved":
            self._starve(run)
        return bool(ids) or run.is_over

    def _starve(self, run: _Run) -> None:
        """GenAI had no cache left for a run, which our count says cannot be: it goes on as the first, or alone."""
        self._release(run)
        if not self._running:
            run.n_blocks = self._settings.n_kv_blocks  # alone next time
        self._waiting.appendleft(run)

    def _refuse(self, number: int, why: str) -> None:
        with self._lock:
            run = self._running.get(number)
            if run is None:
                return
            run.error = EngineError(f"OpenVINO does not take this request: {_first_lines(why)}")
            self._release(run)
            self._admit()
        _wake([run])

    def _survive(self, worker: WorkerProcess) -> bool:
        """The worker has gone. Start another and resume what ran, unless that was tried enough."""
        why = worker.last_words()
        with self._lock:
            if self._is_closed:
                return False
            self._n_deaths += 1
            if not self._loaded.is_set() or self._n_deaths > MAX_DEATHS:
                is_new = not self._loaded.is_set()
                what = "died while loading the model" if is_new else f"died {self._n_deaths} times in a row"
                self._fail(EngineClosed(f"the OpenVINO worker {what}: {why}", _LOAD_HINT))
                return False
            self._worker = WorkerProcess(self._load)
            self._n_restarts += 1
            lost = [run for run in self._running.values() if run.sampling.json_schema is not None]
            for run in lost:  # a schema cannot be resumed in its middle, and one that does not compile kills the worker
                run.error = EngineError(f"the OpenVINO worker died on a JSON schema: {why}", "try a simpler schema")
                self._release(run)
            for run in self._running.values():
                self._send(run)
            self._admit()
        _wake(lost)
        return True

    def _fail(self, error: EngineError) -> None:
        with self._lock:
            self._failure = error
            runs = self._give_up(EngineClosed(str(error), error.hint))
        self._worker.kill()
        self._loaded.set()
        _wake(runs)


class OpenVinoStream:
    """The tokens of one start. Read by one task; cancelled from anywhere, and when it is dropped."""

    def __init__(self, engine: OpenVinoEngine, run: _Run) -> None:
        self._engine, self._run = engine, run

    def __aiter__(self) -> AsyncIterator[Token]:
        return self

    async def __anext__(self) -> Token:
        run = self._run
        while True:
            with contextlib.suppress(IndexError):
                return run.buffer.popleft()
            if run.error is not None:
                raise _copy(run.error)
            if run.finish is not None and not run.buffer:
                raise StopAsyncIteration
            loop = asyncio.get_running_loop()
            if run.loop is not loop:
                run.loop = loop  # told first, looked again after: no wake-up is lost between the two
                continue
            run.waiter = loop.create_future()
            try:
                await run.waiter
            finally:
                run.waiter = None

    def cancel(self) -> None:
        self._engine.cancel(self._run)

    def __del__(self) -> None:
        self._engine.cancel(self._run)

    @property
    def finish(self) -> StreamFinish | None:
        return None if self._run.buffer else self._run.finish

    @property
    def n_cached(self) -> int:
        """GenAI does not say."""
        return 0


_LOAD_HINT = "`bethink doctor` shows what this machine has; `--engine llamacpp` runs the model file as it is"


def _wake(runs: Sequence[_Run]) -> None:
    """One call per event loop. A loop that has gone took its reader along."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Run]] = {}
    for run in runs:
        if run.loop is not None:
            by_loop.setdefault(run.loop, []).append(run)
    for loop, theirs in by_loop.items():
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_wake_all, theirs)


def _wake_all(runs: Sequence[_Run]) -> None:
    for run in runs:
        run.wake()


def _copy(error: EngineError) -> EngineError:
    """One error reaches many readers; each raises its own."""
    return type(error)(str(error), error.hint)


def _refuse_odd(sampling: Sampling) -> None:
    checks: tuple[tuple[bool, str], ...] = (
        (0 <= sampling.temperature <= 100, f"temperature is {sampling.temperature}; 0 (greedy) to 100"),
        (0 < sampling.top_p <= 1, f"top_p is {sampling.top_p}; above 0, at most 1 (off)"),
        (0 <= sampling.min_p < 1, f"min_p is {sampling.min_p}; 0 (off) to below 1"),
        (sampling.top_k >= 0, f"top_k is {sampling.top_k}; 0 (off) or more"),
        (sampling.repetition_penalty > 0, f"repetition_penalty is {sampling.repetition_penalty}; above 0, 1 is off"),
    )
    for holds, why in checks:
        if not holds:
            raise UsageError(why)
    if sampling.json_schema is not None:
        _refuse_odd_schema(sampling.json_schema)


def _refuse_odd_schema(schema: str) -> None:
    """What the grammar compiler would kill the worker over."""
    try:
        value: object = json.loads(schema)
    except ValueError as error:
        raise UsageError(f"the JSON schema is not JSON: {error}") from None
    if not isinstance(value, dict | bool):
        raise UsageError("the JSON schema is not an object")


def _first_lines(text: str, n_chars: int = 600) -> str:
    return " ".join(text.split())[:n_chars]
