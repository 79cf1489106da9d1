# schemathesis ships types with open parameters
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUntypedFunctionDecorator=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false, reportUnknownArgumentType=false
"""The document at /openapi.json says what the server does: schemathesis asks it everything that the document allows."""

from __future__ import annotations

import json
import time

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bethink.server.app import Surroundings
from bethink.server.door.guard import Doors
from bethink.server.openapi import ANSWERS, body_of, document
from bethink.server.wire.dialects import dialects_of
from bethink.server.wire.openai.response_store import ResponseStore
from tests.unit.server.scripted import rig, scripted_model

MADE = rig()
MADE.service.pool.load = lambda _: scripted_model()  # each call starts and stops the application, models included
DIALECTS = dialects_of(ResponseStore())
APP = MADE.app(Surroundings(Doors(hosts=frozenset({"testserver"}))))
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", APP)
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@SCHEMA.exclude(path="/readyz").parametrize()  # whose 503 is an answer
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_every_route_answers_as_the_document_says(case: schemathesis.Case) -> None:
    response = case.call()
    case.validate_response(response, checks=list(CHECKS))
    assert MADE.faults == []
    patience = time.monotonic() + 5
    while MADE.service.n_running and time.monotonic() < patience:  # the server runs in a thread of its own
        time.sleep(0.01)
    assert MADE.service.n_running == 0


@pytest.mark.parametrize(("path", "dialect"), [(path, dialect) for path, dialect, _ in DIALECTS])
def test_every_dialect_stands_in_the_document_with_its_body(path: str, dialect: object) -> None:
    said = document(DIALECTS)
    body = said["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    name = body["$ref"].rpartition("/")[2]
    assert "properties" in said["components"]["schemas"][name]
    found = next(d for p, d, _ in DIALECTS if d is dialect and p == path)
    assert body_of(found) is not None
    assert found.name in ANSWERS


def test_the_document_is_json_without_dangling_references() -> None:
    said = document(DIALECTS)
    text = json.dumps(said)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(said["components"]["schemas"])
