"""What the engine and its worker process say to each other: one JSON value a line, both ways, over pipes.

To the worker: a `Load` first, then `["start", run, ids, sampling]`, `["cancel", run]`; the end of the stream means
stop. From the worker: `["loaded", {...}]` or `["failed", why]`; then for every step `["tokens", [[run, ids, logprobs,
end], …]]` with `end` None while the run goes on, `done`, or `starved` (out of cache; start it again later), and
`["refused", run, why]` for a run that GenAI does not take.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from bethink.types import Sampling


@dataclass(frozen=True, slots=True)
class Load:
    """What the worker opens. `properties` go to OpenVINO's CPU plugin as they are."""

    model_dir: str
    n_kv_blocks: int
    max_batched_tokens: int
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])


def load_message(load: Load) -> list[Any]:
    return ["load", asdict(load)]


def start_message(run: int, ids: list[int], sampling: Sampling) -> list[Any]:
    return ["start", run, ids, asdict(sampling)]


def cancel_message(run: int) -> list[Any]:
    return ["cancel", run]


def write(stream: IO[bytes], message: list[Any]) -> None:
    stream.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
    stream.flush()


def read(stream: IO[bytes]) -> list[Any] | None:
    """The next message, or None when the other side has gone."""
    line = stream.readline()
    return json.loads(line) if line.endswith(b"\n") else None
