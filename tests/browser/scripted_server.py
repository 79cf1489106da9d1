"""A whole `bethink` server whose model says what is written here: run as a program, so that a test can kill it.

    python scripted_server.py PORT FOLDER [SECRET_FILE]     # with the last, a key is needed, and stands there

The question decides what is said: its first word names a line of `LINES`, and anything else is answered at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bethink.config import Settings
from bethink.engine.scripted import Context, Said
from bethink.model import Model
from bethink.server.accounts import Accounts
from bethink.server.launch import Choices, Models, launch
from tests.unit.scripted_models import NATIVE, scripted_model

BYTES_A_SECOND = 600
NAMES = ("scripted", "scripted-two")
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
NOUNS = (
    *("number", "remainder", "factor", "shape", "sum", "pattern", "price", "train"),
    *("shirt", "corner", "average", "digit", "root", "figure", "unknown"),
)
VERBS = (
    *("divides", "doubles", "hides", "changes", "carries", "limits", "follows"),
    *("splits", "needs", "moves", "repeats", "covers", "fits", "shows"),
)


def wandering(n: int, start: int) -> str:
    """A thought of `n` sentences that never goes in circles."""
    return "".join(
        f"So the {NOUNS[(start + at * 7) % 15]} {VERBS[(start * 3 + at * 5) % 14]} "
        f"what the {NOUNS[(at * at + start) % 15]} {VERBS[(at * at * 3 + start) % 14]}"
        + (".\n\n" if at % 4 == 3 else ". ")
        for at in range(n)
    ).strip()


LINES: dict[str, tuple[str, ...]] = {
    "slow": (OPEN + wandering(60, 1) + CLOSE + "The slow answer is **seven**, and this is its last word.",),
    "vote": tuple(
        OPEN + wandering(16 - 2 * way, way) + CLOSE + said
        for way, said in enumerate(
            (r"It is \boxed{391}.", r"So \boxed{391}.", r"I get \boxed{391}.", r"It is \boxed{40}.")
        )
    ),
    "rich": (OPEN + "I shall show everything." + CLOSE + RICH,),
}


def script(context: Context) -> Said:
    """What is said next, also after a thought was cut, closed or edited."""
    question = context.text.rsplit("<|im_start|>user\n", 1)[-1].split("<|im_end|>", 1)[0]
    said = context.text.rsplit("<|im_start|>assistant\n", 1)[-1]
    lines = LINES.get(question.split(" ", 1)[0].rstrip(":")) or (
        f"{OPEN}A short thought.{CLOSE}You said: {question[:200]}",
    )
    begun = [line for line in lines if line.startswith(said)]
    if begun:
        return begun[context.n_start % len(begun)][len(said) :]
    line = lines[0]
    answer = line.split(CLOSE)[1]
    if "</think>" not in said:
        return f"{CLOSE}Going on from there: {answer}"
    beginning = said.split("</think>")[-1].lstrip()
    return answer.removeprefix(beginning)


def make_model(name: str, traces: Path) -> Model:
    pace = {"token_delay_s": 1 / BYTES_A_SECOND, "context_length": 1 << 22, "kv_tokens": 1 << 24}
    return scripted_model(script, profile=NATIVE, name=name, traces=traces, **pace)


def main(port: int, folder: Path, secret_file: Path | None) -> None:
    settings = Settings(folder)
    if secret_file is not None:
        with Accounts.open(None, folder) as accounts:
            made = accounts.directory.create_key("first", workspace="default", scopes=frozenset({"admin"}))
            secret_file.write_text(made.secret)
    models = Models(NAMES, load=lambda name: make_model(name, folder / "traces"), known=lambda: NAMES, prepare=dict)
    launch(Choices(port=port, requires_key=secret_file is not None), models, settings, lambda _: None)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
