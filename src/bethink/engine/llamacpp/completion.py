"""One request to the server: its body, its chunks, and hanging up.

Speaks just enough HTTP for a loopback peer that we started ourselves. Hanging up is half of a close: the server sees
it before its next token, frees the path, and closes its side, so that we know when the path is free again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from bethink.engine.protocol import Token
from bethink.errors import EngineError, UsageError
from bethink.types import Sampling

_RANDOM_SEED = 0xFFFF_FFFF
"""llama.cpp reads this seed as "choose one"."""

PENALTY_WINDOW = 64
"""Penalties count the last so many tokens, which at first are the prompt's: llama.cpp's own default. More would hold
the end of every earlier turn against the end of this one."""


@dataclass(frozen=True, slots=True)
class Likely:
    """How likely a sampled token was, and the likeliest of its place, best first."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...]

    def token(self, n_top: int) -> Token:
        return Token(self.id, self.logprob, self.top[:n_top])


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one event says: the text since the last, and the token it ended with. `n_sampled` counts all until now;
    `n_cached`, where an event tells it, the ids that the cache held.

    `tokens` holds every token in the last chunk of a request that did not stream, else at most one.
    """

    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[Likely, ...]
    n_sampled: int
    n_cached: int | None = None


def body(ids: Sequence[int], sampling: Sampling, n_tokens: int, seed: int, *, is_streamed: bool) -> dict[str, Any]:
    """Samplers run in the field's usual order: penalties first, then temperature, top_k, top_p and min_p."""
    greedy = sampling.temperature <= 0
    penalties = (sampling.presence_penalty, sampling.frequency_penalty, sampling.repetition_penalty)
    first = [] if penalties == (0, 0, 1) else ["penalties"]
    wanted = (
        ("top_k", sampling.top_k > 0),
        ("top_p", sampling.top_p < 1),
        ("min_p", sampling.min_p > 0),
    )
    request: dict[str, Any] = {
        "prompt": list(ids),
        "n_predict": n_tokens,
        "stream": is_streamed,
        "return_tokens": True,
        "cache_prompt": True,
        "seed": seed % _RANDOM_SEED,
        "temperature": max(sampling.temperature, 0.0),
        "top_k": 1 if greedy else sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "samplers": [*first, *(["top_k"] if greedy else ["temperature", *(name for name, is_on in wanted if is_on)])],
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": PENALTY_WINDOW,
        "n_probs": max(sampling.top_logprobs, 1) if sampling.logprobs else 0,
        "return_progress": is_streamed,  # which tells what of the prompt was cached
    }
    if sampling.json_schema is not None:
        request["json_schema"] = json.loads(sampling.json_schema)
    return request


class Completion:
    """An open request. `hang_up` may be called while `chunks` is read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, address: tuple[str, int], key: str, request: dict[str, Any]) -> Completion:
        reader, writer = await asyncio.open_connection(*address)
        data = json.dumps(request).encode()
        writer.write(
            b"POST /completion HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
            + f"Authorization: Bearer {key}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        return cls(reader, writer)

    def hang_up(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()

    async def chunks(self) -> AsyncIterator[Chunk]:
        """Raises: UsageError or EngineError (the server refused), OSError or EOFError (it has gone)."""
        status, headers = await self._head()
        if status != 200:
            raise _refusal(await self._rest(headers))
        if headers.get("transfer-encoding") != "chunked":
            yield _chunk(json.loads(await self._rest(headers)))
            return
        events = b""
        while part := await self._part():
            *lines, events = (events + part).split(b"\n")
            for line in lines:
                if line.startswith(b"data: "):
                    yield _chunk(json.loads(line[6:]))
                elif line.startswith(b"error: "):
                    raise _refusal(line[7:])

    async def wait_until_gone(self) -> None:
        """Until the server has closed its side, and so has freed the path."""
        with contextlib.suppress(OSError):
            while await self._reader.read(65_536):
                pass
        self._writer.close()

    def drop(self) -> None:
        self._writer.close()

    async def _head(self) -> tuple[int, dict[str, str]]:
        status = (await self._line()).split()
        headers: dict[str, str] = {}
        while line := (await self._line()).strip():
            name, _, value = line.partition(b":")
            headers[name.decode().lower()] = value.strip().decode()
        return int(status[1]), headers

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the server closed the connection")
        return line

    async def _rest(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            data = b""
            while part := await self._part():
                data += part
            return data
        return await self._reader.readexactly(int(headers.get("content-length", 0)))

    async def _part(self) -> bytes:
        size = int((await self._line()).split(b";")[0], 16)
        data = await self._reader.readexactly(size + 2)
        return data[:size]


def _chunk(event: dict[str, Any]) -> Chunk:
    if "error" in event:
        raise _refusal(json.dumps(event).encode())
    return Chunk(
        text=event.get("content", ""),
        tokens=tuple(event.get("tokens", ())),
        logprobs=tuple(map(_likely, event.get("completion_probabilities", ()))),
        n_sampled=event.get("tokens_predicted", 0),
        n_cached=event.get("prompt_progress", {}).get("cache"),
    )


def _likely(entry: dict[str, Any]) -> Likely:
    top = tuple((other["id"], other["logprob"]) for other in entry.get("top_logprobs", ()))
    return Likely(entry["id"], entry["logprob"], top)


def _refusal(data: bytes) -> EngineError | UsageError:
    try:
        error: dict[str, Any] = json.loads(data)["error"]
        why, is_ours = str(error.get("message")), error.get("code") == 400
    except (ValueError, KeyError, TypeError):
        why, is_ours = data.decode(errors="replace")[:300], False
    return (UsageError if is_ours else EngineError)(f"llama.cpp does not take this request: {why}")
