"""`Detached`: answers that are made whether or not anybody looks, and that outlive the server.

What always holds: an answer that was asked for ends, as done, stopped or failed, and is in the database before anybody
is told so; what was said so far is written down every second; an answer whose process was killed is taken up by the
next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pydantic_core

from bethink.errors import AccountsError, BethinkError, EngineClosed
from bethink.model import Model, Run
from bethink.server.conversations.eventlog import LAST, EventLog, Numbered
from bethink.server.conversations.progress import Outcome, Progress
from bethink.server.conversations.records import error_record, node_record, result_of
from bethink.server.conversations.resuming import Going, counted_on, go_on
from bethink.server.conversations.starting import Runs
from bethink.server.conversations.state import Shown
from bethink.server.conversations.tree import messages_of
from bethink.server.conversations.values import Node, NoSuchNode, Pending, TurnSettings
from bethink.server.running.answering import Answering
from bethink.server.running.pool import ModelBroken
from bethink.server.running.service import Draining
from bethink.trace import remove_traces
from bethink.types import Finished, Message, Request, Result

KEEP_S = 1.0
"""How often what was said is written down."""
LOOK_S = 0.3
"""How often a look is taken at an answer that another process makes."""
ALIVE_S = 5.0
"""How often a process says that it lives, when there is nothing else to write."""
MOST_CRASHES = 4
"""An answer during which its engine or server died so often is given up."""
RETRIES_S = (0.5, 2.0, 8.0, 30.0)
"""After how long it is tried again to keep an answer that the database did not take."""
PATIENCE_S = 150.0
"""How long an answer waits for a model that died and is not tried again before."""
SHUTDOWN_S = 5.0


class Interrupted(BethinkError):
    code = "interrupted"
    http_status = 503


@dataclass(slots=True, eq=False)
class Answer:
    """One answer on its way."""

    pending: Pending
    log: EventLog
    answering: Answering | None = None
    run: Run | None = None
    wants_answer: bool = False
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    n_crashes: int = 0
    elapsed_s: float = 0.0
    n_kept_tokens: int = 0
    _began: float | None = None
    _written: tuple[int, float] = (-1, 0.0)

    @property
    def id(self) -> str:
        return self.pending.node.id

    @property
    def n_attempts(self) -> int:
        """How often it was begun before, here and elsewhere."""
        return self.pending.n_attempts + self.n_crashes - self.pending.n_crashes

    @property
    def wants_stop(self) -> bool:
        return self.stopped.is_set()

    def answer_now(self) -> None:
        self.wants_answer = True
        if self.answering is not None:
            self.answering.answer_now()

    def stop(self) -> None:
        self.stopped.set()
        if self.answering is not None:
            self.answering.stop()

    def begin(self, run: Run) -> None:
        """From now on it runs; what was wished before is wished still."""
        self.run, self._began = run, time.monotonic()
        if self.wants_answer:
            run.answer_now()

    def end(self) -> None:
        """It does not run any more, for now or for good."""
        self.elapsed_s, self.run, self.answering, self._began = self.spent_s, None, None, None

    @property
    def spent_s(self) -> float:
        return self.elapsed_s + (0.0 if self._began is None else time.monotonic() - self._began)

    def kept(self) -> dict[str, Any]:
        self.log.flush()
        return {"shown": self.log.shown.kept(), "elapsed_s": self.spent_s, "wants_answer": self.wants_answer}

    def to_write(self) -> bytes | None:
        """What is to be written down now, if anything changed."""
        self.log.flush()
        number, _ = self._written
        if number == self.log.last:
            return None
        self._written = (self.log.last, time.monotonic())
        return pydantic_core.to_json(self.kept())

    def is_due(self) -> bool:
        """Whether it is time to say that we live, though nothing changed."""
        number, at = self._written
        if time.monotonic() - at < ALIVE_S:
            return False
        self._written = (number, time.monotonic())
        return True


@dataclass(slots=True)
class Detached:
    """`runs` is how a run is started; `progress` where its steps are kept."""

    runs: Runs
    progress: Progress
    _answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, "asyncio.Task[None]"])

    def begin(self, pending: Pending) -> None:
        """Start to make an answer; returns at once."""
        shown = Shown() if pending.kept is None else Shown.of_kept(pending.kept["shown"])
        answer = Answer(pending, EventLog(pending.n_attempts, shown), n_crashes=pending.n_crashes)
        if pending.kept is not None:
            answer.elapsed_s, answer.wants_answer = pending.kept["elapsed_s"], pending.kept["wants_answer"]
        self._answers[answer.id] = answer
        task = asyncio.create_task(self._make(answer), name=f"answer {answer.id}")
        self._tasks[answer.id] = task
        task.add_done_callback(lambda _: self._forget(answer.id))

    async def take_up(self) -> int:
        """Go on with what others left. Returns how many those were."""
        found = await asyncio.to_thread(self.progress.take_up)
        for pending in found:
            self.begin(pending)
        return len(found)

    @property
    def n_running(self) -> int:
        return len(self._answers)

    def find(self, node_id: str) -> Answer:
        """An answer on its way here. Raises: NoSuchNode."""
        if (answer := self._answers.get(node_id)) is None:
            raise NoSuchNode(f"no answer {node_id!r} is on its way", "it may be there already: reload the conversation")
        return answer

    async def follow(self, owner: str, node_id: str, after: int) -> AsyncGenerator[Numbered]:
        """The events of an answer: on its way here, there already, or made by another process.

        Raises: NoSuchNode.
        """
        shown = None
        while True:
            answer = self._answers.get(node_id)
            if answer is not None:
                async for numbered in answer.log.follow(after):
                    yield numbered
                return
            node = await asyncio.to_thread(self.progress.conversations.find, owner, node_id)
            if node_id in self._answers:  # it was taken up meanwhile
                continue
            if not node.is_open:
                if after < LAST:
                    yield LAST, pydantic_core.to_json(last_record(node))
                return
            kept = await asyncio.to_thread(self.progress.kept, node_id)
            if kept is not None and kept["shown"] != shown:
                shown, after = kept["shown"], after + 1
                yield after, pydantic_core.to_json(Shown.of_kept(kept["shown"]).record())
            await asyncio.sleep(LOOK_S)

    def drop(self, node_ids: set[str]) -> None:
        """Their conversation is gone."""
        for node_id in node_ids & self._answers.keys():
            self._answers[node_id].stop()

    async def close(self) -> None:
        """Write down what is there; the next server goes on with it."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=SHUTDOWN_S)
        try:
            await asyncio.to_thread(self.progress.release)
        except BethinkError as error:
            logging.getLogger("bethink").warning("unfinished answers are taken up later: %s", error)

    def _forget(self, node_id: str) -> None:
        self._answers.pop(node_id, None)
        self._tasks.pop(node_id, None)

    # ---- one answer

    async def _make(self, answer: Answer) -> None:
        keeping = asyncio.create_task(self._keep_writing(answer))
        outcome: Outcome | None = None
        try:
            outcome = await self._outcome(answer)
        except asyncio.CancelledError:
            is_stopped = answer.wants_stop or self._is_stopped_elsewhere(answer)
            if is_stopped and (task := asyncio.current_task()) is not None:
                task.uncancel()  # it was stopped before its turn came
                outcome = Outcome("stopped")
        finally:
            keeping.cancel()
        if outcome is None:
            answer.end()
            await asyncio.to_thread(self._write, answer, pydantic_core.to_json(answer.kept()))
        else:
            await self._settle(answer, outcome)

    def _is_stopped_elsewhere(self, answer: Answer) -> bool:
        """By the call that stops any request by its id; a server that ends stops all of them, which means nothing."""
        return answer.answering is not None and answer.answering.is_stopped and not self.runs.is_draining

    async def _settle(self, answer: Answer, outcome: Outcome) -> None:
        try:
            await self._end(answer, outcome)
            node = await asyncio.to_thread(self.progress.conversations.find, answer.pending.owner, answer.id)
            answer.log.close(last_record(node))
        except NoSuchNode as error:
            await asyncio.to_thread(_forget_trace, answer, outcome)
            answer.log.close({"type": "failed", "error": error_record(error)})
        except BethinkError as error:  # it stays among the runs, and the next server makes it again
            logging.getLogger("bethink").error("the answer %s cannot be kept: %s", answer.id, error)
            answer.log.close({"type": "failed", "error": error_record(error)})

    async def _end(self, answer: Answer, outcome: Outcome) -> None:
        """Keep it, patiently: a database may be restarted.

        Raises: AccountsError.
        """
        for wait_s in (*RETRIES_S, None):
            try:
                await asyncio.to_thread(self.progress.end, answer.id, outcome)
                return
            except AccountsError:
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)

    async def _outcome(self, answer: Answer) -> Outcome | None:
        """How it ended; None where this server stops before it does."""
        while True:
            try:
                if answer.n_crashes >= MOST_CRASHES:
                    raise Interrupted(
                        f"the answer was interrupted {answer.n_crashes} times", "ask again, perhaps another model"
                    )
                result = await self._result(answer)
            except Draining:
                return None
            except ModelBroken as error:
                if error.retry_after_s > PATIENCE_S:
                    return _failed(answer, error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(answer.stopped.wait(), error.retry_after_s)
                continue
            except EngineClosed:
                answer.end()
                answer.n_crashes += 1
                continue
            except BethinkError as error:
                return _failed(answer, error)
            except Exception as error:  # the boundary: nobody waits for this task to see its error
                logging.getLogger("bethink").exception("the answer %s failed", answer.id)
                return _failed(
                    answer, Interrupted(f"the answer ended in an error of bethink itself: {type(error).__name__}")
                )
            if self.runs.is_draining and not answer.wants_stop and result.finish_reason == "user":
                return None
            return _ended(answer, result)

    async def _result(self, answer: Answer) -> Result:
        pending = answer.pending
        settings = pending.node.settings or TurnSettings()
        messages = await asyncio.to_thread(self._messages, pending.node, settings)
        request = request_of(messages, settings, pending)
        going = Going(request)
        is_resumed = answer.n_attempts > 0
        if is_resumed:
            answer.log.begin_again()

        def made(model: Model) -> Request:
            nonlocal going
            if is_resumed:
                going = go_on(request, answer.log.shown, elapsed_s=answer.elapsed_s, handoff=model.profile.handoff)
            return going.request

        answer.answering = self.runs.answering(pending, request, n_attempts=answer.n_attempts)
        if answer.wants_stop:
            raise asyncio.CancelledError
        async with self.runs.started(answer.answering, made) as run:
            answer.n_kept_tokens = going.n_kept_tokens
            await asyncio.to_thread(self.progress.begin, answer.id)
            answer.begin(run)
            if going.answers_now:
                run.answer_now()
            async for event in run:
                if isinstance(event, Finished):
                    return event.result
                answer.log.take(counted_on(event, going.n_kept_tokens))
        raise Interrupted("the run ended without a result")

    def _messages(self, node: Node, settings: TurnSettings) -> tuple[Message, ...]:
        here = self.progress.conversations
        line = here.line(node.parent or node.id)
        texts = here.texts(file.id for one in line for file in one.files)
        return messages_of(line, texts, settings.system)

    async def _keep_writing(self, answer: Answer) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            written = answer.to_write()
            if written is not None or answer.is_due():
                await asyncio.to_thread(self._write, answer, written)

    def _write(self, answer: Answer, kept: bytes | None) -> None:
        try:
            if not self.progress.keep(answer.id, kept, n_crashes=answer.n_crashes):
                answer.stop()
        except BethinkError as error:
            logging.getLogger("bethink").warning("what was said is not written down: %s", error)


def _forget_trace(answer: Answer, outcome: Outcome) -> None:
    """Of a conversation that was deleted while it was made."""
    folder = answer.run.model.traces if answer.run is not None else None
    if folder is not None and outcome.result is not None:
        remove_traces([folder / f"{outcome.result['trace_id']}.json"])


def request_of(messages: tuple[Message, ...], settings: TurnSettings, pending: Pending) -> Request:
    """An edited thought goes on as one path, in words, whatever its settings said of programs."""
    return Request(
        messages=messages,
        effort=settings.effort,
        budget=settings.budget,
        within_s=settings.within_s,
        max_tokens=settings.max_tokens,
        paths=settings.paths,
        programs=settings.programs if pending.thought is None else None,
        check=settings.check,
        temperature=settings.temperature,
        seed=pending.seed,
        thought=pending.thought,
        truncation="auto",
    )


def last_record(node: Node) -> dict[str, Any]:
    """The event that ends an answer."""
    told = {"node": node_record(node)}
    return {"type": "failed", "error": node.error, **told} if node.status == "failed" else {"type": "finished", **told}


def _failed(answer: Answer, error: BethinkError) -> Outcome:
    """What was said until then is kept with it."""
    answer.log.flush()
    path = answer.log.shown.paths.get(0)
    said = ("", None) if path is None else (path.answer, path.thinking)
    return Outcome("failed", *said, error=error_record(error))


def _ended(answer: Answer, result: Result) -> Outcome:
    times = answer.n_attempts
    resumed = {"times": times, "tokens": answer.n_kept_tokens, "seconds": answer.elapsed_s} if times else None
    record = result_of(result, resumed)
    is_stopped = answer.wants_stop or (answer.answering is not None and answer.answering.is_stopped)
    status = "stopped" if is_stopped else "done"
    return Outcome(status, result.answer, result.thinking, record)
