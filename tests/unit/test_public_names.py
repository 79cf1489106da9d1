from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version
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
    locked = {line.partition("==")[0].lower() for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert not locked & {"torch", "torchvision", "tensorflow", "jax", "onnxruntime", "transformers"}


def test_every_dependency_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    locked = {line.partition("==")[0].lower() for line in (ROOT / "requirements.lock").read_text().splitlines()}
    names = {requirement.partition(">=")[0].partition("[")[0].lower() for requirement in asked}
    assert names <= locked
