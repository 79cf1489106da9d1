"""JSON is held against its schema in time, whatever the schema is."""

from __future__ import annotations

import http.server
import json
import threading
import time

import pytest

from bethink.errors import UsageError
from bethink.verify.schema import check_schema, extract_json

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_what_the_schema_allows_passes() -> None:
    verdict = check_schema(PERSON, '{"name": "Ada", "age": 36}', timeout_s=20)
    assert (verdict.kind, verdict.passed, verdict.extracted) == ("schema", True, '{"name": "Ada", "age": 36}')


def test_what_it_forbids_fails_with_the_place() -> None:
    verdict = check_schema(json.dumps(PERSON), '{"age": -1, "x": 2}', timeout_s=20)
    assert verdict.passed is False
    assert "$.age: -1 is less than the minimum of 0" in verdict.why
    assert "'name' is a required property" in verdict.why


@pytest.mark.parametrize(
    "answer",
    [
        '```json\n{"name": "Ada"}\n```',
        'Here you are:\n\n```\n{"name": "Ada"}\n```\nDone.',
        'It is {"name": "Ada"} I think.',
        'First [x], then {"name": "Ada"}.',
        ' \n{"name": "Ada"}\n',
    ],
)
def test_json_is_found_in_its_dress(answer: str) -> None:
    verdict = check_schema(PERSON, answer, timeout_s=20)
    assert (verdict.passed, verdict.extracted) == (True, '{"name": "Ada"}')


@pytest.mark.parametrize(
    "answer", ["", "no", "{'name': 'Ada'}", '{"name": NaN}', '{"name": "Ada"', "[" * 100_000, "\0"]
)
def test_what_is_no_json_fails(answer: str) -> None:
    verdict = check_schema(PERSON, answer, timeout_s=20)
    assert (verdict.passed, verdict.extracted) == (False, None)
    assert verdict.why.startswith("no JSON was found")


def test_scalars_are_json_too() -> None:
    assert extract_json("42") == ("42", 42)
    assert extract_json("null") == ("null", None)


def test_a_pattern_that_takes_forever_is_unsure_in_time() -> None:
    bomb = {"type": "string", "pattern": "^(a+)+$"}
    assert check_schema({"type": "string"}, '"a"', timeout_s=20).passed is True
    began = time.monotonic()
    verdict = check_schema(bomb, json.dumps("a" * 60 + "!"), timeout_s=1)
    assert verdict.passed is None
    assert time.monotonic() - began < 15
    assert check_schema(bomb, '"aaa"', timeout_s=20).passed is True


def test_a_schema_of_references_without_end_ends() -> None:
    around = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    with pytest.raises(UsageError, match="cannot be used"):
        check_schema(around, "1", timeout_s=20)


def test_a_reference_to_elsewhere_is_never_fetched() -> None:
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for url in (f"http://127.0.0.1:{server.server_port}/s.json", "file:///etc/passwd", "other.json"):
            with pytest.raises(UsageError, match="nothing is fetched"):
                check_schema({"$ref": url}, "1", timeout_s=20)
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize("schema", ['{"type": 7}', '{"type": "nothing"}', "{", "", "7", '"text"', '{"pattern": "("}'])
def test_a_schema_that_is_none_is_a_usage_error(schema: str) -> None:
    with pytest.raises(UsageError, match="schema"):
        check_schema(schema, '"x"', timeout_s=20)


def test_true_and_false_are_schemas() -> None:
    assert check_schema("true", "1", timeout_s=20).passed is True
    assert check_schema("false", "1", timeout_s=20).passed is False
