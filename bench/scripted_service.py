"""A server over the scripted engine, for benches of the server itself: `python bench/scripted_service.py PORT HOME`.

Its model says a thought and an answer of `--tokens` tokens, one every `--delay` seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bethink.config import Settings
from bethink.engine.scripted import Context, Line, ScriptedEngine, scripted_tokenizer
from bethink.model import Model, stop_ids
from bethink.profiles import load_profiles
from bethink.prompt import Template, Tokenizer
from bethink.server.launch import Choices, Models, launch
from bethink.server.limits import Limits
from bethink.types import ModelRef

NAME = "scripted:1b"
PROFILE = next(profile for profile in load_profiles() if profile.name == "qwen2.5")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Forgetful(list[Context]):
    """The engine keeps every context for tests to look at; here that would look like a leak."""

    def append(self, context: Context, /) -> None:
        del context


def markdown(n: int) -> str:
    """Prose, lists and code by turns, so many characters."""
    parts: list[str] = []
    while sum(map(len, parts)) < n:
        at = len(parts)
        words = " ".join(f"word{at + m}" if m % 7 else f"**word{at}**" for m in range(60))
        code = f"```python\nfor n in range({at}):\n    print(n, `n`)\n```"
        parts.append((f"{words}.\n\n", f"- one of {at}\n- another `one`\n\n", f"{words}.\n\n", f"{code}\n\n")[at % 4])
    return "".join(parts)[:n]


def scripted_model(n_tokens: int, delay_s: float, *, is_markdown: bool = False, context_length: int = 32_768) -> Model:
    """A token is a byte here."""
    said = markdown(n_tokens) if is_markdown else "".join(f" word{n}" for n in range(n_tokens))[:n_tokens]

    def script(context: Context) -> Line:
        return Line("42") if context.text.endswith(PROFILE.answer_lead) else Line(said)

    tokenizer = Tokenizer(scripted_tokenizer())
    engine = ScriptedEngine(script, token_delay_s=delay_s, kv_tokens=1 << 30, context_length=context_length)
    engine.starts = Forgetful()
    return Model(
        engine=engine,
        tokenizer=tokenizer,
        template=Template(CHATML),
        profile=PROFILE,
        ref=ModelRef(NAME, "0" * 64),
        stop_ids=stop_ids(tokenizer, PROFILE.stop, ()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("home", type=Path)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--parallel", type=int, default=32)
    parser.add_argument("--idle", type=float, default=600.0, help="seconds that a connection may be idle")
    parser.add_argument("--keys", action="store_true", help="nobody is let in without one; HOME has an administrator's")
    parser.add_argument("--markdown", action="store_true", help="say prose, lists and code")
    parser.add_argument("--context", type=int, default=32_768)
    given = parser.parse_args()
    model = scripted_model(given.tokens, given.delay, is_markdown=given.markdown, context_length=given.context)
    models = Models((NAME,), lambda _: model, lambda: (NAME,), lambda: {NAME: model})
    choices = Choices(
        port=given.port, parallel=given.parallel, limits=Limits(idle_s=given.idle), requires_key=given.keys
    )
    launch(choices, models, Settings(given.home), lambda opened: print(opened.url, flush=True))


if __name__ == "__main__":
    main()
