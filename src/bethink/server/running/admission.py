"""Who may run now: limits of the key first, then a turn in the queue of the model; and what it came to, written down.

What always holds: every request that was let in is settled exactly once, finished, failed or cut off; a slot is given
back whatever happens; whoever waits too long is told to come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace

from bethink.errors import BethinkError, Overloaded
from bethink.server.accounts import LOCAL, Accounts, FairQueue, Pass, Principal, Ticket, UsageLine
from bethink.server.limits import Limits
from bethink.server.record import added
from bethink.server.running.answering import Answering, n_chars_of
from bethink.thinking.calibration import Calibration
from bethink.thinking.checks import asks_for_function
from bethink.thinking.effort import DEFAULT_THOUGHT, efforts, is_comparable
from bethink.thinking.spend import Spend
from bethink.types import Completion, Request

CHARS_A_TOKEN = 2
"""Few enough that what is estimated of a text is rarely too little."""
LOOKED_AT_CHARS = 2000
"""A longer question is not looked at on the event loop, and may spend what its effort may."""
USUAL_COMPLETION = 4096
"""What a path may sample when the client set no limit: what plans reserve on their own."""


@dataclass(slots=True)
class Admission:
    """`accounts` None: nobody counts (tests, and servers without a ledger). `parallel` requests run at once on each
    model."""

    accounts: Accounts | None = None
    parallel: int = 32
    limits: Limits = field(default_factory=Limits)
    _queues: dict[str, FairQueue] = field(default_factory=dict[str, FairQueue])

    @property
    def queues(self) -> Mapping[str, FairQueue]:
        return self._queues

    def local(self) -> Principal:
        return LOCAL if self.accounts is None else self.accounts.local()

    @contextlib.asynccontextmanager
    async def turn(self, answering: Answering, calibration: Calibration | None = None) -> AsyncGenerator[Pending]:
        """The right to run, once it is this request's turn. `calibration` is its model's, where that is known.

        Raises: LimitReached, Overloaded, ModelNotAllowed, Unauthorized.
        """
        who, name = answering.principal, answering.model
        ticket = await self._ticket(answering, calibration)
        try:
            queue = self._queues.get(name)
            if queue is None:
                queue = self._queues[name] = FairQueue(self.parallel, max_waiting=self.limits.waiting)
            held = await self._slot(queue, who.key_id or who.workspace_id, is_low=answering.is_low)
            try:
                yield Pending(answering, ticket)
            finally:
                held.release()
        finally:
            if ticket is not None:
                ticket.release()

    async def _ticket(self, answering: Answering, calibration: Calibration | None) -> Ticket | None:
        if self.accounts is None:
            answering.principal.require_model(answering.model)
            return None
        tokens = answering.ask.n * estimated_tokens(answering.ask.request, calibration)
        return await self.accounts.admit(answering.principal, answering.model, tokens)

    async def _slot(self, queue: FairQueue, key: str, *, is_low: bool) -> Pass:
        patience_s = None if is_low else self.limits.wait_s
        try:
            async with asyncio.timeout(patience_s):
                return await queue.acquire(key, is_low=is_low)
        except TimeoutError:
            message = f"no turn came within {self.limits.wait_s:g} s: the engine is full"
            raise Overloaded(message, "try again later", retry_after_s=5.0) from None


@dataclass(slots=True)
class Pending:
    """A request that was let in and is still to be settled."""

    answering: Answering
    ticket: Ticket | None

    async def settle(self, error: BaseException | None) -> None:
        """Write down what it used. A request that had not begun used nothing.

        Raises: AccountsError.
        """
        answering, record = self.answering, self.answering.record
        record.outcome = "cancelled" if answering.is_stopped else "ok" if error is None else "failed"
        if not answering.runs:
            return
        used = record.usage = added(answering.usage())
        if self.ticket is None:
            return
        line = UsageLine(
            request_id=record.id,
            model=answering.model,
            dialect=record.dialect or "bethink",
            status=record.outcome if not isinstance(error, BethinkError) else f"failed:{error.code}",
            finished_us=time.time_ns() // 1000,
            input_tokens=used.prompt_tokens,
            cached_tokens=min(used.cached_tokens, used.prompt_tokens),
            thinking_tokens=used.thinking_tokens,
            answer_tokens=used.answer_tokens,
            probe_tokens=used.probe_tokens,
            discarded_tokens=used.discarded_tokens,
            duration_us=int(record.seconds() * 1e6),
            trace_id=self._trace_id,
        )
        await self.ticket.settle(line)

    @property
    def _trace_id(self) -> str:
        """Of the trace that says the same tokens; several choices have several traces, which count the prompt each."""
        runs = self.answering.runs
        is_kept = len(runs) == 1 and runs[0].model.traces is not None and runs[0].trace.result is not None
        return runs[0].trace.id if is_kept else ""


def estimated_tokens(request: Request | Completion, calibration: Calibration | None = None) -> int:
    """About the most that one choice may read and sample: all the paths that an effort may spend, where one was asked
    for. `calibration` is that of a model that is in memory already."""
    if isinstance(request, Completion):
        return n_chars_of(request) // CHARS_A_TOKEN + request.max_tokens
    read = n_chars_of(request) // CHARS_A_TOKEN
    if request.paths is None and request.effort == "auto":
        return read + (request.max_tokens or (request.budget or 0) + USUAL_COMPLETION)
    spend = _spend(request, calibration)
    budget = spend.budget if request.budget is None else request.budget
    thought = DEFAULT_THOUGHT if budget < 0 else budget
    path = request.max_tokens or thought + USUAL_COMPLETION
    return read + path * (spend.paths if request.paths is None else request.paths)


def _spend(request: Request, calibration: Calibration | None) -> Spend:
    """What its effort may spend. A question whose answers are not compared is answered once."""
    name = "auto-comparable" if request.effort == "auto" else request.effort
    spend = efforts().get(name, efforts()["max"])
    if not _may_spread(request):
        return replace(spend, paths=1)
    if calibration is None or request.effort not in calibration.efforts:
        return spend
    measured = calibration.efforts[request.effort].spend
    is_unbounded = min(measured.budget, spend.budget) < 0
    return Spend(-1 if is_unbounded else max(measured.budget, spend.budget), max(measured.paths, spend.paths))


def _may_spread(request: Request) -> bool:
    """Whether several paths may be spent, as far as that can be seen before the model is there."""
    if request.check != "auto":
        return request.check not in ("none", "schema")
    if request.tests is not None:
        return True
    if request.tools and request.tool_choice != "none":
        return False
    asked = [message for message in request.messages if message.role != "tool"] or request.messages
    question = asked[-1].content if asked else ""
    return len(question) > LOOKED_AT_CHARS or is_comparable(question) or asks_for_function(question)
