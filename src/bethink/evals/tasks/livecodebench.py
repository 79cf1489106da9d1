"""Files in LiveCodeBench's format: contest problems with cases of stdin and stdout, or calls of a method of Solution.

Source: livecodebench/code_generation_lite (its own terms). Private cases are packed by pickle in base64; a pickle may
run code, so only one that holds nothing but text is read.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import zlib
from pathlib import Path
from typing import cast

from bethink.evals.files import Row, id_of, read_questions, text_of
from bethink.evals.programs import ProgramTask
from bethink.evals.task import Example
from bethink.verify.sandbox import Sandbox

MAX_UNPACKED = 64_000_000
STDIN = "\n\nRead from standard input and write to standard output. Reply with the whole program in one Python block."
METHOD = "\n\nComplete this class, and reply with all of it in one Python block.\n\n```python\n{}\n```"


def livecodebench(name: str, data: Path, sandbox: Sandbox) -> ProgramTask:
    """Raises: UsageError."""
    file = read_questions(data)
    return ProgramTask(name, file.examples(_example), str(data), file.sha256, sandbox)


def _example(row: Row, number: int) -> Example:
    cases = [*_cases(row.get("public_test_cases")), *_cases(row.get("private_test_cases"))]
    if not cases:
        raise ValueError("it has no test cases")
    own, question = id_of(row, number, "question_id"), text_of(row, "question_content").strip()
    starter = row.get("starter_code")
    if isinstance(starter, str) and starter.strip():
        tests = "\n".join(_assert(_method(row), *case) for case in cases) + "\n"
        preamble = "from typing import *\n"
        meta: dict[str, object] = {"entry_point": "Solution", "preamble": preamble}
        return Example(own, question + METHOD.format(starter.rstrip()), tests=tests, meta=meta)
    return Example(own, question + STDIN, meta={"cases": tuple(cases)})


def _cases(packed: object) -> list[tuple[str, str]]:
    if packed in (None, "", []):
        return []
    listed = _unpacked(packed) if isinstance(packed, str) else packed
    if not isinstance(listed, list):
        raise ValueError("its test cases are no list")
    found: list[tuple[str, str]] = []
    for item in cast("list[object]", listed):
        case = cast("dict[str, object]", item) if isinstance(item, dict) else {}
        given, wanted = case.get("input"), case.get("output")
        if not isinstance(given, str) or not isinstance(wanted, str):
            raise ValueError("a test case is not an input with an output")
        found.append((given, wanted))
    return found


def _unpacked(packed: str) -> object:
    """JSON, or JSON in a pickled text, compressed, in base64."""
    try:
        if packed.lstrip().startswith("["):
            return json.loads(packed)
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.b64decode(packed, validate=True), MAX_UNPACKED)
        if inflate.unconsumed_tail:
            raise ValueError(f"its private cases unpack to more than {MAX_UNPACKED // 1_000_000} MB")
        return json.loads(cast("str", _OnlyText(io.BytesIO(raw)).load()))
    except (
        binascii.Error,
        zlib.error,
        pickle.UnpicklingError,
        EOFError,
        TypeError,
        IndexError,
        RecursionError,
    ) as error:
        raise ValueError(f"its test cases cannot be read: {error}") from None


class _OnlyText(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> object:
        raise pickle.UnpicklingError(f"the pickle wants {module_name}.{global_name}; only text is read")


def _method(row: Row) -> str:
    raw = row.get("metadata")
    found: object = json.loads(raw) if isinstance(raw, str) and raw.strip() else raw
    name = cast("dict[str, object]", found).get("func_name") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError("its metadata name no function")
    return name


def _assert(method: str, given: str, wanted: str) -> str:
    """A call with one JSON value a line as its arguments."""
    arguments = ", ".join(repr(json.loads(line)) for line in given.split("\n") if line.strip())
    return f"assert Solution().{method}({arguments}) == {json.loads(wanted)!r}"
