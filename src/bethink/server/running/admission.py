"""Who may run now: limits of the key first, then a turn in the queue of the model; and what it came to, written down.

What always holds: every request that was let in is settled exactly once, finished, failed or cut off; a slot is given
back whatever happens; whoever waits too long is told to come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from bethink.errors import BethinkError, LimitReached, Overloaded
from bethink.server.accounts import LOCAL, Accounts, FairQueue, Pass, Principal, Ticket, UsageLine
from bethink.server.limits import Limits
from bethink.server.record import added
from bethink.server.running.answering import Answering
from bethink.server.running.estimating import Estimate
from bethink.thinking.calibration import Calibration


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
        """Where the paths are not the client's to choose, as many as the limits have room for."""
        if self.accounts is None:
            answering.principal.require_model(answering.model)
            return None
        ask = answering.ask
        estimate = Estimate(ask.request, calibration)
        *more, fewest = estimate.possible_paths
        for paths in more:
            with contextlib.suppress(LimitReached):
                return await self._admitted(self.accounts, answering, paths, ask.n * estimate.tokens(paths))
        return await self._admitted(self.accounts, answering, fewest, ask.n * estimate.tokens(fewest))

    async def _admitted(self, accounts: Accounts, answering: Answering, paths: int, tokens: int) -> Ticket:
        ticket = await accounts.admit(answering.principal, answering.model, tokens)
        answering.most_paths = paths
        return ticket

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

    def settle(self, error: BaseException | None) -> None:
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
        self.ticket.settle(line)

    @property
    def _trace_id(self) -> str:
        """Of the trace that says the same tokens; several choices have several traces, which count the prompt each."""
        runs = self.answering.runs
        is_kept = len(runs) == 1 and runs[0].model.traces is not None and runs[0].trace.result is not None
        return runs[0].trace.id if is_kept else ""
