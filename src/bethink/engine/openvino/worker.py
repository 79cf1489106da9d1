"""The process that holds the weights: `python -m bethink.engine.openvino.worker`, spoken to as `wire` says.

It is a process of its own for three reasons: GenAI's `step()` keeps Python's global lock for its whole duration (a
prompt on a small machine takes seconds), a crash in native code must not take the user's program along, and its
memory is given back the moment it ends. It ends with its standard input, so it cannot outlive the engine that started
it.

Tokens go in and out as ids; GenAI's own tokenizer is loaded because GenAI insists, and serves JSON schemas only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from bethink.engine.openvino import wire
from bethink.engine.openvino.reading import Reading

_MADV_DONTNEED = 4
COLDEST = 1e-4
"""Below this temperature sampling is greedy: dividing logits by less overflows before it changes any choice."""


class Worker:
    """One pipeline and the runs in it. Everything but reading standard input happens on the main thread."""

    def __init__(self, inbox: IO[bytes], outbox: IO[bytes]) -> None:
        self._inbox, self._outbox = inbox, outbox
        self._messages: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._handles: dict[int, Any] = {}
        self._reading = Reading()
        self._waiting: dict[int, list[Any]] = {}  # start messages of runs whose prompt another run reads
        self._pipeline: Any = None  # GenAI's own annotations are partly unknown

    def serve(self) -> None:
        message = wire.read(self._inbox)
        if message is None:
            return
        try:
            self._load = wire.Load(**message[1])
            self._open(self._load)
        except Exception as error:  # noqa: BLE001 - whatever native code throws while loading is the answer to "load"
            wire.write(self._outbox, ["failed", str(error).strip()])
            return
        wire.write(self._outbox, ["loaded", {}])
        threading.Thread(target=self._listen, daemon=True).start()
        is_first = True
        while self._obey():
            self._pipeline.step()
            self._report()
            if is_first:
                forget_pages_of(Path(self._load.model_dir) / "openvino_model.bin")
            is_first = False

    def _open(self, load: wire.Load) -> None:
        import openvino_genai as genai

        self._genai = genai
        scheduler = genai.SchedulerConfig()
        scheduler.num_kv_blocks = load.n_kv_blocks
        scheduler.max_num_batched_tokens = load.max_batched_tokens
        scheduler.max_num_seqs = load.max_batched_tokens
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = True
        self._pipeline = genai.ContinuousBatchingPipeline(load.model_dir, scheduler, "CPU", dict(load.properties))

    def _listen(self) -> None:
        while (message := wire.read(self._inbox)) is not None:
            self._messages.put(message)
        self._messages.put(None)

    def _obey(self) -> bool:
        """Take every message that is there; with nothing to do, wait for one. False: it is over."""
        while True:
            try:
                message = self._messages.get(block=not self._handles)
            except queue.Empty:
                return True
            match message:
                case None:
                    return False
                case ["start", run, ids, _]:
                    self._waiting[run] = message
                    if self._reading.begin(run, ids):
                        self._start(run)
                case ["cancel", run]:
                    self._cancel(run)
                case _:
                    pass

    def _start(self, run: int) -> None:
        import numpy as np
        import openvino as ov

        _, _, ids, sampling = self._waiting.pop(run)
        try:
            config = self._config(sampling)
            prompt = ov.Tensor(np.array([ids], dtype=np.int64))
            self._handles[run] = self._pipeline.add_request(run, prompt, config)
        except Exception as error:  # noqa: BLE001 - a request that GenAI refuses is that request's error alone
            wire.write(self._outbox, ["refused", run, str(error).strip()])
            self._end_reading(run, has_read=False)

    def _cancel(self, run: int) -> None:
        self._waiting.pop(run, None)
        if handle := self._handles.pop(run, None):
            handle.cancel()
        self._end_reading(run, has_read=False)

    def _end_reading(self, run: int, *, has_read: bool) -> None:
        """What the run read is in the cache; those who waited for that find it there."""
        for waiter in self._reading.end(run, has_read=has_read):
            self._start(waiter)

    def _config(self, sampling: Mapping[str, Any]) -> Any:
        genai = self._genai
        config = genai.GenerationConfig()
        config.apply_chat_template = False
        config.max_new_tokens = sampling["max_tokens"]
        config.logprobs = int(sampling["logprobs"])
        config.presence_penalty = sampling["presence_penalty"]
        config.frequency_penalty = sampling["frequency_penalty"]
        config.repetition_penalty = sampling["repetition_penalty"]
        config.do_sample = sampling["temperature"] > COLDEST
        if config.do_sample:
            config.temperature = sampling["temperature"]
            config.rng_seed = sampling["seed"] & 0xFFFF_FFFF
            config.top_p = sampling["top_p"]
            config.min_p = sampling["min_p"]
            if sampling["top_k"]:
                config.top_k = sampling["top_k"]
        if sampling["stop_ids"]:
            config.stop_token_ids = set(sampling["stop_ids"])
            config.eos_token_id = sampling["stop_ids"][0]  # else GenAI adds the model's own end token
        elif sampling["json_schema"] is None:
            config.ignore_eos = True
        if sampling["json_schema"] is not None:
            config.structured_output_config = genai.StructuredOutputConfig(json_schema=sampling["json_schema"])
        return config

    def _report(self) -> None:
        """Tell what the last step brought, in one message for all runs."""
        running = self._genai.GenerationStatus.RUNNING
        ignored = self._genai.GenerationStatus.IGNORED
        news: list[list[Any]] = []
        for run, handle in list(self._handles.items()):
            status = handle.get_status()  # before reading: what comes after a FINISHED is nothing
            ids: list[int] = []
            logprobs: list[float] = []
            while handle.can_read():
                for output in handle.read().values():
                    ids += output.generated_ids
                    logprobs += output.generated_log_probs
            end = None if status == running else "starved" if status == ignored else "done"
            if end is not None:
                del self._handles[run]
            if ids or end:
                news.append([run, ids, logprobs, end])
        if news:
            wire.write(self._outbox, ["tokens", news])
        for run, ids, *_ in news:
            self._end_reading(run, has_read=bool(ids))


def forget_pages_of(file: Path) -> None:
    """Give back the memory that shows a file whose contents OpenVINO has repacked; what is needed again is read again.

    Only mappings that nobody can write to are touched, and only on Linux. Worth half of a model's resident size.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    target = str(file.resolve())
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span, mode, *_ = line.split()
        if mode in ("r--p", "r--s") and line.endswith(target):
            start, end = (int(edge, 16) for edge in span.split("-"))
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def main() -> None:
    # What native code prints goes to stderr, so that stdout carries messages alone.
    outbox = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(Exception):  # whoever starts this may not know yet what to load; what fails fails again
        import openvino_genai  # noqa: F401 # pyright: ignore[reportUnusedImport]
    Worker(sys.stdin.buffer, outbox).serve()
    outbox.flush()
    os._exit(0)  # native destructors take long and may crash; the system frees faster


if __name__ == "__main__":
    main()
