"""What the server says of itself: one line a request and one for whatever went wrong, as text or as JSON.

What always holds: no prompt, no answer and no secret is ever written; a line is one line, whatever a client sent; and
nobody waits for a slow terminal or a full disk, because a thread of its own writes (when it falls behind, lines are
dropped and counted).
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
import traceback
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from bethink.server.record import Record

LogFormat = Literal["text", "json"]
MAX_PENDING = 10_000


@dataclass(slots=True)
class Log:
    """Writes to `out`. `shows_values`: the text of unexpected exceptions too, which may hold what a client sent."""

    out: TextIO
    form: LogFormat = "text"
    shows_values: bool = False
    _queue: queue.Queue[str | None] = field(default_factory=lambda: queue.Queue(MAX_PENDING))
    _n_dropped: int = 0
    _thread: threading.Thread | None = None

    def request(self, record: Record) -> None:
        """One request that is over."""
        self.line("request", request_fields(record))

    def note(self, text: str, **more: object) -> None:
        """Anything an operator may want to know."""
        self.line("note", {"message": text, **more})

    def fault(self, error: BaseException, record: Record) -> None:
        """An exception that nobody expected: where it was raised, and only on wish what it says."""
        self.line("fault", {"id": record.id, **self._of(error)})

    def _of(self, error: BaseException) -> dict[str, object]:
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename.rpartition('/site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
        said = {"says": str(error)} if self.shows_values else {}
        return {"type": type(error).__name__, **said, "at": where[-12:]}

    def heard(self, record: logging.LogRecord) -> None:
        """What any part of this process said to Python's own logging."""
        error = record.exc_info[1] if record.exc_info else None
        more = {} if error is None else self._of(error)
        self.note(record.getMessage(), level=record.levelname.lower(), logger=record.name, **more)

    def line(self, event: str, values: Mapping[str, object]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = _json(now, event, values) if self.form == "json" else _text(now, event, values)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="bethink-log", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(text)
        except queue.Full:
            self._n_dropped += 1

    def close(self) -> None:
        """Write what is pending, for a second at most."""
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(None)
            self._thread.join(timeout=1.0)
            self._thread = None

    def _write(self) -> None:
        while (text := self._queue.get()) is not None:
            dropped, self._n_dropped = self._n_dropped, 0
            with contextlib.suppress(OSError, ValueError):
                self.out.write(text + (f"\n{dropped} lines of the log were dropped" if dropped else "") + "\n")
                if self._queue.empty():
                    self.out.flush()


@contextlib.contextmanager
def all_in(log: Log) -> Generator[None]:
    """Warnings and worse of everything in this process are lines of `log`, in its form, and nothing else on stderr."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                log.heard(record)
            except (TypeError, ValueError):  # a message that does not fit its values: whoever logs it goes on
                self.handleError(record)

    handler = Handler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def request_fields(record: Record) -> dict[str, object]:
    """What a line says of a request: what is empty is left away."""
    usage, who = record.usage, record.principal
    values: dict[str, object] = {
        "id": record.id,
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "seconds": round(record.total_s, 3),
        "client": record.client,
        "key": who.key_id if who is not None and not who.is_local else "",
        "workspace": who.workspace if who is not None and not who.is_local else "",
        "dialect": record.dialect,
        "model": record.model,
        "outcome": record.outcome,
        "error": record.error,
    }
    if usage is not None:
        values |= {"prompt": usage.prompt_tokens, "thinking": usage.thinking_tokens, "answer": usage.answer_tokens}
        values |= {"probe": usage.probe_tokens, "discarded": usage.discarded_tokens}
    if record.waited_s is not None:
        values["waited"] = round(record.waited_s, 3)
    if record.first_token_s is not None:
        values["first_token"] = round(record.first_token_s, 3)
    return {name: value for name, value in values.items() if value not in ("", None)}


def _json(now: str, event: str, values: Mapping[str, object]) -> str:
    return json.dumps({"time": now, "event": event, **values}, default=str)


def _text(now: str, event: str, values: Mapping[str, object]) -> str:
    if event == "request":
        rest = dict(values)
        head = " ".join(_word(rest.pop(name, "-")) for name in ("status", "method", "path", "seconds"))
        return f"{now} {head}s {_pairs(rest)}"
    if event == "note":
        rest = {name: value for name, value in values.items() if name != "message"}
        return f"{now} {_safe(str(values['message']))} {_pairs(rest)}".rstrip()
    return f"{now} {event} {_pairs(values)}"


def _pairs(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_word(value)}" for name, value in values.items())


def _word(value: object) -> str:
    text = _safe(str(value))
    return json.dumps(text, ensure_ascii=False) if " " in text or '"' in text or not text else text


def _safe(text: str) -> str:
    """Without control characters: what a client sent must not draw in a terminal, nor begin a line of its own."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[:2000])
