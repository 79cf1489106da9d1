from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bethink.cli.markdown import Blocks, rendered

ANSWER = """# Title

A paragraph
on two lines.

1. one

   still one
2. two

```python
x = 1

y = 2
```

| a | b |
|---|---|
| 1 | 2 |

end"""


def shown(block: str, width: int = 60) -> str:
    console = Console(width=width, force_terminal=False, color_system=None)
    return "\n".join("".join(s.text for s in line).rstrip() for line in rendered(block, console))


@given(st.data())
def test_blocks_come_out_the_same_however_the_text_comes_in(data: st.DataObject) -> None:
    blocks, out, rest = Blocks(), list[str](), ANSWER
    while rest:
        n = data.draw(st.integers(1, len(rest)))
        out += blocks.feed(rest[:n])
        rest = rest[n:]
    out += blocks.finish()
    assert "".join(out) == ANSWER
    whole = Blocks()
    assert out == [*whole.feed(ANSWER), *whole.finish()]


def test_a_list_and_a_code_block_stay_in_one_piece() -> None:
    blocks = Blocks()
    out = [*blocks.feed(ANSWER), *blocks.finish()]
    assert [block.split("\n")[0] for block in out] == [
        "# Title",
        "A paragraph",
        "1. one",
        "```python",
        "| a | b |",
        "end",
    ]


def test_a_block_that_may_still_grow_is_not_given_out() -> None:
    blocks = Blocks()
    assert blocks.feed("one\n\ntw") == []
    assert blocks.feed("o\n") == ["one\n\n"]
    assert blocks.feed("still two\n") == []


def test_a_formula_over_several_lines_is_not_torn() -> None:
    blocks = Blocks()
    assert blocks.feed("\\[ a\n\n= b\n\n") == []
    assert blocks.feed("\\]\n\nnext\n") == ["\\[ a\n\n", "= b\n\n", "\\]\n\n"] or blocks.tail.startswith("\\[")


@given(st.text(alphabet="ab#*`-1. |\n>_[]()"))
def test_no_text_is_lost(text: str) -> None:
    blocks = Blocks()
    out = [*(b for char in text for b in blocks.feed(char)), *blocks.finish()]
    assert "".join(out).strip() == text.strip()


def test_a_block_has_no_empty_lines_around_it() -> None:
    assert shown("\n\n- one\n- two\n\n") == " • one\n • two"
    assert shown("```\nx\n```").strip() == "x"


def test_an_answer_is_not_wider_than_what_reads_well() -> None:
    assert max(len(line) for line in shown("word " * 200, width=300).split("\n")) <= 100
