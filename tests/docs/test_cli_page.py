from __future__ import annotations

from docs.generate_cli import OUT, page


def test_the_page_of_commands_is_what_the_program_says() -> None:
    assert OUT.read_text(encoding="utf-8") == page(), "run: python docs/generate_cli.py"
