"""`Template`: a model's chat template, which came with the weights and is trusted as little as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from jinja2 import TemplateError

from bethink.errors import BethinkError, InvalidModelFile, UsageError
from bethink.prompt.sandbox import Budget, ChatEnvironment, TemplateRefusal, current_budget

MAX_SOURCE_CHARS = 64 * 1024
RENDER_SECONDS = 1.0
RENDER_UNITS = 4_000_000
UNITS_PER_INPUT_CHAR = 64

Variables = Mapping[str, object]


class Template:
    """A compiled template. Safe to share between threads. `bos` and `eos` are the texts of those tokens, or empty.

    Raises: InvalidModelFile when the source is no template, too long, or uses what the sandbox does not give.
    """

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        if len(source) > MAX_SOURCE_CHARS:
            raise InvalidModelFile(
                f"the chat template has {len(source)} characters; {MAX_SOURCE_CHARS} are allowed", _HINT
            )
        self.source = source
        self.bos = bos
        self.eos = eos
        token = current_budget.set(Budget(RENDER_UNITS, RENDER_SECONDS))
        try:
            self._template = ChatEnvironment().from_string(source)
        except Exception as error:
            raise _invalid(error) from error
        finally:
            current_budget.reset(token)

    def render(
        self, messages: Sequence[Variables], *, add_generation_prompt: bool = True, extra: Variables | None = None
    ) -> str:
        """The dialogue as text. `messages` are mappings with `role` and `content`; `extra` are the template's own
        options.

        Raises: UsageError when the template refuses the messages; InvalidModelFile when it fails or asks for too
        much.
        """
        variables = {
            **(extra or {}),
            "messages": [dict(message) for message in messages],
            "bos_token": self.bos,
            "eos_token": self.eos,
            "add_generation_prompt": add_generation_prompt,
        }
        n_chars = _n_chars([messages, extra])
        token = current_budget.set(Budget(RENDER_UNITS + UNITS_PER_INPUT_CHAR * n_chars, RENDER_SECONDS))
        try:
            return self._template.render(variables)
        except TemplateRefusal as error:
            raise UsageError(
                f"the model's chat template refuses these messages: {error}", "change their roles or order"
            ) from error
        except Exception as error:
            raise _invalid(error) from error
        finally:
            current_budget.reset(token)


def _n_chars(value: object) -> int:
    """Of all texts inside nested mappings and sequences."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_n_chars(item) for pair in cast("Variables", value).items() for item in pair)
    return sum(map(_n_chars, cast("Sequence[object]", value))) if isinstance(value, list | tuple) else 0


_HINT = "give another template, or pull the model from another source"


def _invalid(error: Exception) -> BethinkError:
    """A template is foreign code: whatever it raises, it is the model file's fault."""
    kind = "" if isinstance(error, TemplateError) else f"{type(error).__name__}: "
    return InvalidModelFile(f"the chat template is not valid: {kind}{str(error)[:300]}", _HINT)
