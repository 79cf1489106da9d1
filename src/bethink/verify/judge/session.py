"""A program and its tests, each in an interpreter of its own, and the messages carried between them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from bethink.verify.judge.suite import Suite
from bethink.verify.judge.values import Unreadable, decode
from bethink.verify.sandbox import Limits, Sandbox
from bethink.verify.sandbox.watch import Channel, watch

MAX_CARRIED = 64 << 20


@dataclass(slots=True)
class Frames:
    """Bytes in, whole messages out."""

    rest: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> list[bytes]:
        self.rest += data
        found: list[bytes] = []
        while len(self.rest) >= 8:
            end = 8 + int.from_bytes(self.rest[:8], "big")
            if len(self.rest) < end:
                break
            found.append(bytes(self.rest[8:end]))
            del self.rest[:end]
        return found


@dataclass(slots=True)
class _Hearing:
    """What the bench said so far."""

    frames: Frames = field(default_factory=Frames)
    test: str = ""
    n_requests: int = 0
    verdict: bytes | None = None

    def hear(self, data: bytes, candidate: Channel) -> None:
        for frame in self.frames.take(data):
            match frame[:1]:
                case b"C":
                    self.n_requests += 1
                    candidate.send((len(frame) - 1).to_bytes(8, "big") + frame[1:])
                case b"N":
                    self.test = frame[1:].decode("utf-8", "replace")
                case _:
                    self.verdict = frame[1:]


def judge(program: str, suite: Suite, *, sandbox: Sandbox, limits: Limits, entry_point: str) -> tuple[bool | None, str]:
    """Whether the program passes, and the reason."""
    hearing = _Hearing()
    carried = replace(limits, output_bytes=MAX_CARRIED)
    plan = suite.code, suite.functions, suite.classes, suite.wants_candidate, suite.used, suite.modules, entry_point
    with sandbox.worker(limits) as inner, sandbox.worker(limits) as outer:
        candidate = sandbox.channel(
            inner, "bethink.verify.judge.candidate", (program, False), carried, lambda data: bench.send(data)
        )
        bench = sandbox.channel(
            outer, "bethink.verify.judge.bench", plan, carried, lambda data: hearing.hear(data, candidate)
        )
        candidate.is_last = bench.is_last = False

        def is_done() -> bool:
            if candidate.is_over:
                bench.is_last = True  # it reads the end of its input and says what it was doing
            return hearing.verdict is not None or bench.is_over

        watch([candidate, bench], until=time.monotonic() + limits.wall_s, is_done=is_done)
        gone = candidate.ended() if candidate.is_over else None
    return _conclude(hearing, candidate, bench, gone)


def _conclude(hearing: _Hearing, candidate: Channel, bench: Channel, gone: str | None) -> tuple[bool | None, str]:
    where = f" in {hearing.test}" if hearing.test else ""
    if bench.stopped == "timed_out" or gone == "timed_out":
        return False, f"timed out{where}: it {candidate.why or bench.why}"
    if gone in ("memory", "output", "killed"):
        return False, f"error{where}: it {candidate.why}"
    if hearing.verdict is None:
        said = bytes(bench.errors).decode("utf-8", "replace").strip().splitlines()[-1:]
        return None, f"cannot be checked: the tests ended with {bench.ended()}{where}: {bench.why} {' '.join(said)}"
    try:
        passed, why = _read(hearing.verdict)
    except Unreadable as error:
        return None, f"cannot be checked: {error}"
    if passed is False and gone is not None and why.startswith("the program ended"):
        why = f"error: {why} (exit code {candidate.exit_code})"
    return passed, why


def _read(data: bytes) -> tuple[bool | None, str]:
    match decode(data):
        case (True, str() as why):
            return True, why
        case (False, str() as why):
            return False, why
        case (None, str() as why):
            return None, why
        case _:
            raise Unreadable("no verdict")
