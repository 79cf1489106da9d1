"""`litellm`: the same server through three of its providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.conftest import ANSWER, client
from tests.unit.server.wire.served import THOUGHT

if TYPE_CHECKING:
    import litellm
else:
    litellm = client("litellm")

pytestmark = pytest.mark.filterwarnings("ignore")
MESSAGES = [{"role": "user", "content": "Tell me about two and two."}]


def provider(name: str, url: str) -> dict[str, Any]:
    base = f"{url}/v1" if name == "openai" else url
    return {"model": f"{name}/scripted", "api_base": base, "api_key": "none", "messages": MESSAGES}


@pytest.mark.parametrize("name", ["openai", "anthropic", "ollama_chat"])
def test_a_provider_answers(url: str, name: str) -> None:
    told: Any = litellm.completion(**provider(name, url), max_tokens=3000)
    assert told.choices[0].message.content == ANSWER
    assert told.usage.completion_tokens > 0


@pytest.mark.parametrize("name", ["openai", "anthropic", "ollama_chat"])
def test_a_provider_streams(url: str, name: str) -> None:
    parts: Any = litellm.completion(**provider(name, url), max_tokens=3000, stream=True)
    assert "".join(part.choices[0].delta.content or "" for part in parts) == ANSWER


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_a_thought_is_where_litellm_looks_for_it(url: str, name: str) -> None:
    wish: dict[str, Any] = {} if name == "openai" else {"thinking": {"type": "enabled", "budget_tokens": 1024}, "allowed_openai_params": ["thinking"]}
    told: Any = litellm.completion(**provider(name, url), max_tokens=3000, **wish)
    assert told.choices[0].message.reasoning_content == THOUGHT


def test_responses_answer(url: str) -> None:
    told: Any = litellm.responses(model="openai/scripted", input="Tell me.", api_base=f"{url}/v1", api_key="none")
    assert told.output[-1].content[0].text == ANSWER
