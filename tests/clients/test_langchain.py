"""`langchain-openai`: chat, streams, tools and structured output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.conftest import ANSWER, client

if TYPE_CHECKING:
    import langchain_openai
else:
    langchain_openai = client("langchain_openai")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def model(url: str) -> Any:
    return langchain_openai.ChatOpenAI(model="scripted", base_url=f"{url}/v1", api_key=lambda: "none", max_retries=0)


def test_chat_answers_and_streams(model: Any) -> None:
    told = model.invoke("Tell me about two and two.")
    assert told.content == ANSWER
    assert told.usage_metadata["output_token_details"]["reasoning"] > 0
    assert "".join(part.content for part in model.stream("Tell me about two and two.")) == ANSWER


def test_a_tool_is_called(model: Any) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    told = model.bind_tools([add]).invoke("Tell me about two and two.")
    assert [(call["name"], call["args"]) for call in told.tool_calls] == [("add", {"a": 2, "b": 2})]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_output_is_structured(model: Any, method: str) -> None:
    schema = {
        "title": "add",
        "description": "A sum.",
        "type": "object",
        "properties": {"sum": {"type": "integer"}, "a": {"type": "integer"}, "b": {"type": "integer"}},
    }
    told = model.with_structured_output(schema, method=method).invoke("Tell me about two and two.")
    assert told == ({"sum": 4} if method == "json_schema" else {"a": 2, "b": 2})


def test_responses_are_gone_on_from(url: str) -> None:
    model: Any = langchain_openai.ChatOpenAI(
        model="scripted", base_url=f"{url}/v1", api_key=lambda: "none", use_responses_api=True
    )
    first = model.invoke("Tell me about two and two.")
    assert first.text == ANSWER
    again = model.invoke("And now?", previous_response_id=first.response_metadata["id"])
    assert again.text == ANSWER
