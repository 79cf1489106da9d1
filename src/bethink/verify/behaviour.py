"""What programs do, side by side: their outputs on the same inputs, for a vote without tests.

Source: CodeT, arXiv 2207.10397: candidates that give the same outputs agree. Departure: outputs are compared by value,
not held against expectations that the model wrote.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

from bethink.verify.judge.session import Frames
from bethink.verify.judge.values import Remote, Unreadable, decode, encode
from bethink.verify.sandbox import Limits, Sandbox
from bethink.verify.sandbox.watch import watch

EACH = Limits(cpu_s=4.0, wall_s=6.0)
MAX_RESTARTS = 3
_WRONG_KIND = ("raises TypeError", "raises AttributeError")


def behaviours(
    programs: Sequence[str], inputs: Sequence[str], *, sandbox: Sandbox, limits: Limits = EACH
) -> list[tuple[str, ...] | None]:
    """For each program what comes out of each input, an expression such as `f([1, 2], 3)`; None where the program
    does not even load. The limits are for all inputs of one program. Raises: SandboxMissing."""
    return [_behaviour(program, inputs, sandbox, limits) for program in programs]


def classes_by_behaviour(
    programs: Sequence[str], inputs: Sequence[str], *, sandbox: Sandbox, limits: Limits = EACH
) -> list[list[int]]:
    """The indices of programs that do the same, in the order of first appearance. Programs that do not load, or whose
    every input fails, are in no class."""
    return classes_of_outputs(behaviours(programs, inputs, sandbox=sandbox, limits=limits))


def classes_of_outputs(outputs: Sequence[tuple[str, ...] | None]) -> list[list[int]]:
    """As `classes_by_behaviour`, for what `behaviours` returned. What `fitting` leaves out is not compared."""
    places = fitting(outputs)
    classes: dict[tuple[str, ...], list[int]] = {}
    for at, found in enumerate(outputs):
        compared = tuple(found[place] for place in places) if found is not None else ()
        if not all(_is_failure(output) for output in compared):
            classes.setdefault(compared, []).append(at)
    return list(classes.values())


def fitting(outputs: Sequence[tuple[str, ...] | None]) -> list[int]:
    """The places of inputs that can be meant: an argument for whose kind most programs have no use (TypeError,
    AttributeError) is none, and a program must not win because it takes it."""
    loaded = [found for found in outputs if found is not None]
    n_inputs = len(loaded[0]) if loaded else 0
    return [at for at in range(n_inputs) if 2 * sum(found[at] in _WRONG_KIND for found in loaded) <= len(loaded)]


def _is_failure(output: str) -> bool:
    return output.startswith(("raises ", "no output: "))


def _behaviour(program: str, inputs: Sequence[str], sandbox: Sandbox, limits: Limits) -> tuple[str, ...] | None:
    outputs: list[str] = []
    for _ in range(MAX_RESTARTS):
        is_loaded, found, ended = _ask(program, inputs[len(outputs) :], sandbox, limits)
        outputs += found
        if not is_loaded and not outputs:
            return None
        if len(outputs) >= len(inputs):
            return tuple(outputs)
        outputs.append(f"no output: {ended}")
    missing = ["no output: not tried"] * (len(inputs) - len(outputs))
    return (*outputs, *missing)


def _ask(program: str, inputs: Sequence[str], sandbox: Sandbox, limits: Limits) -> tuple[bool, list[str], str]:
    """Whether it loaded, its outputs as far as they came, and what ended them."""
    frames, replies = Frames(), list[bytes]()
    with sandbox.worker(limits) as worker:
        channel = sandbox.channel(
            worker,
            "bethink.verify.judge.candidate",
            (program, True),
            limits,
            lambda data: replies.extend(frames.take(data)),
        )
        for expression in inputs:
            request = encode(expression)
            channel.send(len(request).to_bytes(8, "big") + request)
        watch([channel], until=time.monotonic() + limits.wall_s, is_done=lambda: len(replies) > len(inputs))
        ended = channel.ended() if channel.is_over else "ok"
    is_loaded = bool(replies) and not _output(replies[0]).startswith(("raises ", "no output: "))
    return is_loaded, [_output(reply) for reply in replies[1 : len(inputs) + 1]] if is_loaded else [], ended


def _output(reply: bytes) -> str:
    """One reply of a program in words that are equal when the values are."""
    try:
        value: Any = decode(reply, lambda remote: remote)
    except Unreadable:
        return "no output: it sent no value"
    match value:
        case ("ok", _, _, str()):
            _, result, _, printed = value
            return _canonical(result) + (f" and prints {printed!r}" if printed else "")
        case ("raised", (str() as name, *_), *_):
            return f"raises {name}"
        case ("stays", str() as what):
            return f"no output: {what}"
        case _:
            return "no output: it sent no value"


def _canonical(value: Any) -> str:
    """Equal for values that people call equal: floats to ten digits, sets and dicts in one order."""
    if isinstance(value, float):
        return repr(float(f"{value:.10g}"))
    if type(value) is int:
        return hex(value) if value.bit_length() > 4000 else str(value)
    if isinstance(value, Remote):
        return f"a {value.type_name}"
    kind = cast("type[object]", type(value))
    items = [*map(_canonical, value)] if kind in (list, tuple, set, frozenset) else []
    if kind is list:
        return f"[{', '.join(items)}]"
    if kind is tuple:
        return f"({', '.join(items)},)"
    if items or kind in (set, frozenset):
        return f"{{{', '.join(sorted(items))}}}"
    if kind is dict:
        pairs = [f"{_canonical(key)}: {_canonical(value[key])}" for key in value]
        return f"dict({', '.join(sorted(pairs))})"
    return repr(value)
