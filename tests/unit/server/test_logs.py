"""The log says what happened in one line each, and nothing that a client said; spans say the same to a collector."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path

import pytest

from bethink.server.accounts import Accounts
from bethink.server.app import Surroundings
from bethink.server.door.keys import Keys
from bethink.server.record import Record
from bethink.server.watching.logs import Log, all_in
from bethink.server.watching.spans import attributes, open_spans
from bethink.types import Usage
from tests.unit.server.scripted import THOUGHT, asked, in_process, rig

pytestmark = pytest.mark.anyio


def logged(form: str, *records: Record) -> str:
    written = StringIO()
    log = Log(written, "json" if form == "json" else "text")
    for record in records:
        log.request(record)
    log.close()
    return written.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_is_one_line_whatever_a_client_sent(form: str) -> None:
    path = "/v1/x\r\n2026-01-01 200 GET /forged\x1b[2J\u2028\x00é"
    text = logged(form, Record(method="GET\n", path=path, status=404))
    assert text.count("\n") == 1
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert "\x00" not in text
    if form == "json":
        assert json.loads(text)["path"] == path


def test_a_line_says_who_asked_what_and_what_it_took() -> None:
    record = Record("POST", "/v1/chat/completions", "127.0.0.1", status=200, model="m:1b", total_s=1.23456)
    record.usage, record.outcome = Usage(prompt_tokens=7, thinking_tokens=30, answer_tokens=5), "ok"
    said = json.loads(logged("json", record))
    assert said["event"] == "request"
    assert (said["id"], said["status"], said["seconds"], said["model"]) == (record.id, 200, 1.235, "m:1b")
    assert (said["prompt"], said["thinking"], said["answer"], said["outcome"]) == (7, 30, 5, "ok")
    assert f"id={record.id}" in logged("text", record)


async def test_no_prompt_answer_or_key_is_ever_logged(tmp_path: Path) -> None:
    written = StringIO()
    log = Log(written, "json")
    with Accounts.open(None, tmp_path) as accounts:
        secret = accounts.directory.create_key("app").secret
        made = rig(accounts=accounts)
        made.service.on_fault = log.fault
        around = Surroundings(keys=Keys(accounts, is_needed=True))
        async with in_process(made, around) as client:
            for key in (secret, f"{secret}x", "sk-other"):
                await client.post("/v1/chat/completions", json=asked("my secret plan"), headers={"x-api-key": key})
            await client.post("/v1/chat/completions?key=in-the-query", json={"messages": "my secret plan"})
    for record in made.records:
        log.request(record)
    log.close()
    text = written.getvalue()
    assert text.count("\n") == 4
    for hidden in ("plan", THOUGHT, secret, "sk-other", "in-the-query"):
        assert hidden not in text


def test_a_fault_says_where_it_was_and_what_it_said_only_on_wish() -> None:
    def told(*, shows_values: bool) -> str:
        written = StringIO()
        log = Log(written, "json", shows_values=shows_values)
        try:
            raise KeyError("my secret plan")
        except KeyError as error:
            log.fault(error, Record())
        log.close()
        return written.getvalue()

    assert "plan" not in told(shows_values=False)
    assert "test_logs.py" in told(shows_values=False)
    assert "plan" in told(shows_values=True)


def test_what_others_say_is_a_line_of_the_log_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    written = StringIO()
    log = Log(written, "json")
    with all_in(log):
        logging.getLogger("some.library").warning("the collector\nis away for %d s", 5)
        logging.getLogger("some.library").info("nothing that matters")
        try:
            raise ValueError("a secret prompt")
        except ValueError:
            logging.getLogger("bethink").exception("the answer %s failed", "a1")
    logging.getLogger("some.library").warning("after it")
    log.close()
    first, second = [json.loads(line) for line in written.getvalue().splitlines()]
    assert (first["message"], first["level"]) == ("the collector\nis away for 5 s", "warning")
    assert (second["message"], second["type"], second["logger"]) == ("the answer a1 failed", "ValueError", "bethink")
    assert "test_logs.py" in second["at"][-1]
    assert "secret" not in written.getvalue()
    assert "is away" not in capsys.readouterr().err


def test_nobody_waits_for_a_disk_that_hangs() -> None:
    class Hanging(StringIO):
        goes_on = threading.Event()

        def write(self, text: str) -> int:
            self.goes_on.wait(10)
            return super().write(text)

    out = Hanging()
    log = Log(out)
    for n in range(10_050):
        log.note(f"line {n}")
    out.goes_on.set()
    log.close()
    text = out.getvalue()
    assert "lines of the log were dropped" in text
    assert "line 0" in text


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Takes what OpenTelemetry exports."""
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield taken
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_span_of_every_request_reaches_the_collector(collector: list[bytes]) -> None:
    tell, close = open_spans()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    tell(Record("POST", "/v1/chat/completions", status=200, dialect="chat", model="m:1b", total_s=0.5, parent=parent))
    tell(Record("GET", "/v1/models", status=200, parent="nonsense"))
    close()
    data = b"".join(collector)
    assert b"chat m:1b" in data
    assert bytes.fromhex("0af7651916cd43dd8448eb211c80319c") in data
    assert b"gen_ai.request.model" in data


def test_attributes_say_tokens_and_errors() -> None:
    record = Record("POST", "/v1/chat/completions", status=503, model="m", error="overloaded")
    record.usage, record.first_token_s = Usage(prompt_tokens=3, thinking_tokens=2, answer_tokens=1), 0.25
    said = attributes(record)
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (3, 3)
    assert said["error.type"] == "overloaded"
