"""What dialects answer when they do not stream, as JSON schemas for the document at `/openapi.json`.

Written down beside the tellers, not made of them: what clients may count on, not everything that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
STRING: Json = {"type": "string"}
NULLABLE: Json = {"type": ["string", "null"]}
COUNT: Json = {"type": "integer", "minimum": 0}
OBJECT: Json = {"type": "object"}
STREAM: Json = {"type": "object", "description": "One event, or one line: see the dialect's own documentation"}


def an_object(required: Mapping[str, Json], more: Mapping[str, Json] | None = None) -> Json:
    """With all of `required`, and `more` where it is said."""
    return {"type": "object", "required": list(required), "properties": {**required, **(more or {})}}


def a_list(item: Json) -> Json:
    return {"type": "array", "items": item}


USAGE = an_object(dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), COUNT))
FINISH: Json = {"enum": ["stop", "length", "tool_calls"]}
COMPLETION = an_object(
    {
        "id": STRING,
        "object": {"const": "text_completion"},
        "created": COUNT,
        "model": STRING,
        "choices": a_list(an_object({"index": COUNT, "text": STRING, "finish_reason": FINISH})),
        "usage": USAGE,
    }
)
RESPONSE = an_object(
    {
        "id": STRING,
        "object": {"const": "response"},
        "created_at": COUNT,
        "status": {"enum": ["completed", "incomplete"]},
        "model": STRING,
        "output": a_list(an_object({"id": STRING, "type": {"enum": ["reasoning", "message", "function_call"]}})),
        "usage": an_object(dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), COUNT)),
    },
    {"error": {"type": "null"}, "incomplete_details": {"type": ["object", "null"]}, "bethink": OBJECT},
)
MESSAGE = an_object(
    {
        "id": STRING,
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "model": STRING,
        "content": a_list(an_object({"type": {"enum": ["thinking", "text", "tool_use"]}})),
        "stop_reason": {"enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use"]},
        "usage": an_object({"input_tokens": COUNT, "output_tokens": COUNT}),
    },
    {"bethink": OBJECT},
)
_OLLAMA = {"model": STRING, "created_at": STRING, "done": {"const": True}, "done_reason": STRING}
_NUMBERS = dict.fromkeys(
    ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"),
    COUNT,
)
TURN = an_object({"role": {"const": "assistant"}, "content": STRING}, {"thinking": STRING})
CHATTED = an_object(_OLLAMA, {**_NUMBERS, "message": TURN, "response": STRING})
GENERATED = an_object({**_OLLAMA, "response": STRING}, {**_NUMBERS, "thinking": STRING})

TAG = an_object({"name": STRING, "model": STRING, "size": COUNT, "digest": STRING, "details": OBJECT})
TAGS = an_object({"models": a_list(TAG)})
SHOWN = an_object({"details": OBJECT, "model_info": OBJECT, "capabilities": a_list(STRING)})
VERSION = an_object({"version": STRING})
COUNTED = an_object({"input_tokens": COUNT})
DELETED = an_object({"id": STRING, "object": STRING, "deleted": {"const": True}})
ITEMS = an_object({"object": {"const": "list"}, "data": a_list(an_object({"id": STRING, "type": STRING}))})
