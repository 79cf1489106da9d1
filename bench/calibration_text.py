"""Write the calibration text that ships with bethink: what a model says to a few dozen varied questions.

    python bench/calibration_text.py --model qwen2.5-coder:1.5b > src/bethink/engine/openvino/calibration.txt

A text of one's own making has no licence but the project's, and reads as models write. It holds mathematics, code,
prose and some other languages; none of its questions is from a set that anything is measured on.
"""

from __future__ import annotations

import argparse
import asyncio

import bethink
from bethink.engine.openvino.calibration import SEPARATOR
from bethink.model import Model
from bethink.types import Message, Request

QUESTIONS = (
    "A baker sells loaves for 4 euros and rolls for 60 cents. She sold 35 loaves and 120 rolls. What did she earn?",
    "A tank holds 240 litres, leaks 3 litres an hour and gets 11. When is it full, if it starts half full?",
    "Three friends share a bill of 87.60 in the ratio 2 : 3 : 7. How much does each of them pay?",
    "Solve x^2 - 7x + 10 = 0 and explain each step.",
    "What is the sum of all odd numbers between 1 and 99? Show two ways.",
    "A ladder of 5 m leans on a wall, its foot 3 m away. How high does it reach, and what is its angle?",
    "Prove that the square root of 2 is irrational.",
    "How many ways are there to seat five people around a table?",
    "Differentiate f(x) = x^3 * sin(x), then find its slope at x = 0.",
    "Write a Python function that merges overlapping intervals, with type hints and a docstring.",
    "Write a Python class for a least-recently-used cache without any library.",
    "Why does this fail: def add(item, items=[]): items.append(item); return items ?",
    "Write a SQL query for the three best customers of each month, and explain it.",
    "Implement binary search in Rust and in JavaScript.",
    "Write a bash script that renames all .jpeg files of a folder to .jpg and says what it did.",
    "Write a C function that reverses a linked list in place.",
    "Give a JSON object that describes a book with two authors and four chapters.",
    "Write an HTML page with a form for name and e-mail, and the CSS that makes it look good.",
    "Explain what a hash table is to somebody who has never programmed.",
    "Explain how vaccines work in two paragraphs.",
    "Why is the sky blue, and why are sunsets red?",
    "Summarise the causes of the First World War in ten sentences.",
    "Write a short story about a lighthouse keeper who finds a letter.",
    "Write a polite e-mail that moves a meeting from Tuesday to Thursday.",
    "Compare electric and petrol cars in a table.",
    "List the planets of the solar system with one remarkable fact each.",
    "用中文解释什么是机器学习,并举三个例子。",
    "一个长方形的周长是36厘米,长是宽的两倍,求面积。请写出推理过程。",
    "Erkläre auf Deutsch, wie ein Kühlschrank funktioniert.",
    "Écris une recette simple de soupe aux légumes en français.",
    "Translate 'The early bird catches the worm' into five languages.",
    "Plan a weekend in a city you know for a family with two children.",
)


async def answers(model: Model, n_tokens: int) -> list[str]:
    async def one(question: str) -> str:
        request = Request((Message("user", question),), effort="none", paths=1, seed=1, max_tokens=n_tokens)
        return f"{question}\n\n{(await model.answer(request)).answer}"

    return await asyncio.gather(*(one(question) for question in QUESTIONS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:1.5b")
    parser.add_argument("--max-tokens", type=int, default=320)
    given = parser.parse_args()
    with bethink.load(given.model) as model:
        model.traces = None
        print(SEPARATOR.join(asyncio.run(answers(model, given.max_tokens))))


if __name__ == "__main__":
    main()
