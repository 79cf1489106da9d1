"""A whole `bethink` server whose model says what is written here: run as a program, so that a test can kill it.

    python scripted_server.py PORT FOLDER

The question decides what is said: its first word names a line of `LINES`, and anything else is answered at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from bethink.config import Settings
from bethink.engine.scripted import Context, Said, ScriptedEngine, scripted_tokenizer
from bethink.model import Model, stop_ids
from bethink.profiles import load_profiles
from bethink.prompt import Template, Tokenizer
from bethink.server.accounts.database import open_database
from bethink.server.app import create_app
from bethink.server.page import Page
from bethink.server.pool import Pool
from bethink.server.service import Service
from bethink.types import ModelRef

BYTES_A_SECOND = 600
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
OPEN, CLOSE = "<think>\n", "\n</think>\n\n"
RICH = r"""## Three ways

Inline $e^{i\pi} + 1 = 0$ and a line of its own:

\[ \int_0^1 x^2\,dx = \frac{1}{3} \]

| name | size |
| :--- | ---: |
| ant | 3 |
| bee | 12 |

```python
def add(a: int, b: int) -> int:
    # the sum
    return a + b
```

```html
<!doctype html><button onclick="document.body.dataset.ran = 1; this.textContent = 'ran'">press</button>
```

- one
- two, see [the guide](https://example.org/guide)
"""
NOUNS = "number remainder factor shape sum pattern price train shirt corner average digit root figure unknown".split()
VERBS = "divides doubles hides changes carries limits follows splits needs moves repeats covers fits shows".split()


def wandering(n: int, start: int) -> str:
    """A thought of `n` sentences that never goes in circles."""
    return "".join(
        f"So the {NOUNS[(start + at * 7) % 15]} {VERBS[(start * 3 + at * 5) % 14]} what the {NOUNS[(at * at + start) % 15]} "
        f"{VERBS[(at * at * 3 + start) % 14]}" + (".\n\n" if at % 4 == 3 else ". ")
        for at in range(n)
    ).strip()


LINES: dict[str, tuple[str, ...]] = {
    "slow": (OPEN + wandering(60, 1) + CLOSE + "The slow answer is **seven**, and this is its last word.",),
    "vote": tuple(
        OPEN + wandering(16 - 2 * way, way) + CLOSE + said
        for way, said in enumerate((r"It is \boxed{391}.", r"So \boxed{391}.", r"I get \boxed{391}.", r"It is \boxed{40}."))
    ),
    "rich": (OPEN + "I shall show everything." + CLOSE + RICH,),
}


def script(context: Context) -> Said:
    """What is said next, also after a thought was cut, closed or edited."""
    question = context.text.rsplit("<|im_start|>user\n", 1)[-1].split("<|im_end|>", 1)[0]
    said = context.text.rsplit("<|im_start|>assistant\n", 1)[-1]
    lines = LINES.get(question.split(" ", 1)[0].rstrip(":")) or (f"{OPEN}A short thought.{CLOSE}You said: {question[:200]}",)
    begun = [line for line in lines if line.startswith(said)]
    if begun:
        return begun[context.n_start % len(begun)][len(said) :]
    line = lines[0]
    answer = line.split(CLOSE)[1]
    if "</think>" not in said:
        return f"{CLOSE}Going on from there: {answer}"
    beginning = said.split("</think>")[-1].lstrip()
    return answer[len(beginning) :] if answer.startswith(beginning) else answer


def make_model(name: str) -> Model:
    tokenizer = Tokenizer(scripted_tokenizer())
    profile = next(profile for profile in load_profiles() if profile.name == "qwen3")
    return Model(
        engine=ScriptedEngine(script, token_delay_s=1 / BYTES_A_SECOND, context_length=1 << 22, kv_tokens=1 << 24),
        tokenizer=tokenizer,
        template=Template(CHATML),
        profile=profile,
        ref=ModelRef(name, "0" * 64),
        stop_ids=stop_ids(tokenizer, profile.stop, ()),
    )


def main(port: int, folder: Path) -> None:
    service = Service(Pool(load=make_model, known=lambda: ("scripted", "scripted-two"), default="scripted"))
    page = Page.of(service, open_database(None, folder), Settings(folder))
    uvicorn.run(create_app(service, None, page), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
