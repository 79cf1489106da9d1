"""The OpenAPI 3.1 document at `/openapi.json`: every route with its body, its answers and its errors.

Bodies are the models that the dialects read with, found through the return type of their `read`, so that the document
cannot say something else than the server does. Answers are written down here; a dialect without an entry in `ANSWERS`
answers with some object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bethink import __version__
from bethink.server import openapi_answers as answers
from bethink.server.asking.asks import Dialect
from bethink.server.routes.ollama import ShowBody
from bethink.server.routes.requests import ControlBody
from bethink.server.wire.anthropic.turns import CountBody

REF = "#/components/schemas/{model}"
Json = dict[str, Any]

STRING: Json = {"type": "string"}
NULLABLE: Json = {"type": ["string", "null"]}
COUNT: Json = {"type": "integer", "minimum": 0}
ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": ["object", "string"]}},
    "description": "In the dialect's own shape; OpenAI's names `message`, `type`, `param` and `code`.",
}
USAGE: Json = {
    "type": "object",
    "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
    "properties": dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), COUNT),
}
CHOICE: Json = {
    "type": "object",
    "required": ["index", "message", "finish_reason"],
    "properties": {
        "index": COUNT,
        "finish_reason": {"enum": ["stop", "length", "tool_calls"]},
        "message": {
            "type": "object",
            "required": ["role", "content"],
            "properties": {"role": {"const": "assistant"}, "content": NULLABLE, "reasoning_content": NULLABLE},
        },
        "bethink": {"type": "object"},
    },
}
COMPLETION: Json = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
        "id": STRING,
        "object": {"const": "chat.completion"},
        "created": COUNT,
        "model": STRING,
        "choices": {"type": "array", "items": CHOICE},
        "usage": USAGE,
    },
}
MODEL: Json = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {"id": STRING, "object": {"const": "model"}, "created": COUNT, "owned_by": STRING},
}
MODELS: Json = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": MODEL}},
}
DONE: Json = {"type": "object", "required": ["id", "action"], "properties": {"id": STRING, "action": STRING}}
ANSWERS: Mapping[str, Json] = {
    "chat": COMPLETION,
    "completions": answers.COMPLETION,
    "responses": answers.RESPONSE,
    "messages": answers.MESSAGE,
    "ollama_chat": answers.CHATTED,
    "ollama_generate": answers.GENERATED,
}
"""What a dialect answers when it does not stream, by its name."""

ERRORS: Mapping[str, str] = {
    "400": "A field cannot be honoured; the message names it",
    "401": "No key, or none that holds",
    "403": "The key does not open this, or a browser came from elsewhere",
    "404": "No such model, request or path",
    "405": "Another method",
    "408": "The body came too slowly",
    "413": "The body is too large",
    "415": "The body is not said to be JSON",
    "429": "A limit of the key or of its workspace: come back after `retry-after`",
    "500": "A fault of the server",
    "501": "This machine lacks what was asked for",
    "503": "Busy, loading or stopping: come back after `retry-after`",
    "507": "No memory for this model",
}


def document(dialects: Iterable[tuple[str, Dialect, str]]) -> Json:
    """The whole document, as JSON values."""
    bodies = {path: body for path, dialect, _ in dialects if (body := body_of(dialect)) is not None}
    models: list[type[BaseModel]] = [*dict.fromkeys([*bodies.values(), ControlBody, CountBody, ShowBody])]
    refs, definitions = models_json_schema([(m, "validation") for m in models], ref_template=REF)
    paths: Json = {}
    for path, dialect, _ in dialects:
        body = refs[bodies[path], "validation"] if path in bodies else {"type": "object"}
        answer = ANSWERS.get(dialect.name, {"type": "object"})
        paths[path] = {"post": _asking(dialect, body, answer)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "bethink", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths
        | _others(refs[ControlBody, "validation"])
        | _of_dialects(refs[CountBody, "validation"], refs[ShowBody, "validation"]),
        "components": {
            "schemas": definitions["$defs"] | {"Error": ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
        "security": [{}, {"bearer": []}, {"x-api-key": []}],
    }


def body_of(dialect: Dialect) -> type[BaseModel] | None:
    """The pydantic model that a dialect reads with: `read` returns the ask and it."""
    known = get_args(get_type_hints(type(dialect).read)["return"])[1]
    known = get_type_hints(known).get("body", known)
    return known if isinstance(known, type) and issubclass(known, BaseModel) else None


def _asking(dialect: Dialect, body: Json, answer: Json) -> Json:
    return {
        "operationId": f"ask_{dialect.name}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {
                "description": "The answer, whole or as a stream",
                "content": {"application/json": {"schema": answer}, dialect.media_type: {"schema": answers.STREAM}},
            },
            **_errors(*ERRORS),
        },
    }


def _others(control: Json) -> Json:
    """The routes that are no way to ask."""
    request_id = _in_path("id")
    action = {"name": "action", "in": "path", "required": True, "schema": {"enum": ["answer_now", "stop"]}}
    text = {"200": {"description": "Yes", "content": {"text/plain": {"schema": STRING}}}}
    unready = {"503": {"description": "Not now", "content": {"text/plain": {"schema": STRING}}}}
    with_body = {"required": True, "content": {"application/json": {"schema": control}}}
    steering = _errors("400", "401", "403", "404", "408", "413", "415")
    return {
        "/v1/models": {"get": _route("list_models", _ok(MODELS) | _errors("401", "403"))},
        "/v1/models/{model}": {
            "get": _route("show_model", _ok(MODEL) | _errors("401", "403", "404"), _in_path("model"))
        },
        "/v1/chat/completions/{id}/control": {
            "post": _route("control_chat", _ok(DONE) | steering, request_id) | {"requestBody": with_body}
        },
        "/v1/requests/{id}/{action}": {"post": _route("control_request", _ok(DONE) | steering, request_id, action)},
        "/openapi.json": {"get": _route("openapi", _ok({"type": "object"}) | _errors("403"))},
        "/metrics": {"get": _route("metrics", text | _errors("401", "403"))},
        "/healthz": {"get": _route("healthz", text | _errors("403"))},
        "/readyz": {"get": _route("readyz", text | unready | _errors("403"))},
    }


def _of_dialects(count: Json, show: Json) -> Json:
    """What clients of a dialect ask beside questions."""
    response_id = _in_path("id")
    asking = _errors("400", "401", "403", "404", "408", "413", "415")
    by_id = _errors("401", "403", "404")

    def having(body: Json) -> Json:
        return {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}

    return {
        "/v1/messages/count_tokens": {
            "post": _route("count_tokens", _ok(answers.COUNTED) | _errors(*ERRORS)) | having(count)
        },
        "/v1/responses/{id}": {
            "get": _route("show_response", _ok(answers.RESPONSE) | by_id, response_id),
            "delete": _route("delete_response", _ok(answers.DELETED) | by_id, response_id),
        },
        "/v1/responses/{id}/input_items": {
            "get": _route("list_response_items", _ok(answers.ITEMS) | by_id, response_id)
        },
        "/api/tags": {"get": _route("list_tags", _ok(answers.TAGS) | _errors("401", "403"))},
        "/api/ps": {"get": _route("list_loaded", _ok(answers.TAGS) | _errors("401", "403"))},
        "/api/version": {"get": _route("version", _ok(answers.VERSION) | _errors("401", "403"))},
        "/api/show": {"post": _route("show", _ok(answers.SHOWN) | asking) | having(show)},
    }


def _route(name: str, responses: Json, *parameters: Json) -> Json:
    return {"operationId": name, "responses": responses} | ({"parameters": list(parameters)} if parameters else {})


def _ok(schema: Json) -> Json:
    return {"200": {"description": "Done", "content": {"application/json": {"schema": schema}}}}


def _errors(*statuses: str) -> Json:
    content = {"application/json": {"schema": {"$ref": REF.format(model="Error")}}}
    return {status: {"description": ERRORS[status], "content": content} for status in statuses}


def _in_path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
