"""What belongs to a model's weights and is no weight: tokenizer, chat template, the ids that end a turn.

Owns finding them: in a GGUF file, in a folder we prepared, or in one that was published for OpenVINO.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bethink.errors import InvalidModelFile
from bethink.prompt import Template, Tokenizer, tokenizer_from_gguf


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """What belongs to the weights: words to ids, messages to words. `eos_ids` end a turn by the file's own word;
    `form` is the form of the weights: the precision they were prepared in, or `own` for the file's."""

    tokenizer: Tokenizer
    template: Template
    model_name: str
    eos_ids: tuple[int, ...]
    form: str = "own"


def files_of_gguf(path: Path) -> EngineFiles:
    """Raises: InvalidModelFile."""
    from bethink.store.gguf import read_header

    metadata = read_header(path).metadata
    words = words_of_gguf(metadata)
    return EngineFiles(
        tokenizer_from_gguf(metadata),
        Template(str(metadata.get("tokenizer.chat_template", "")), words["bos"], words["eos"]),
        words["model_name"],
        tuple(words["eos_ids"]),
    )


def words_of_gguf(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says of itself that a prompt needs: model_name, bos, eos (texts) and eos_ids."""
    tokens: tuple[str, ...] = metadata.get("tokenizer.ggml.tokens", ())
    ids: dict[str, Any] = {kind: metadata.get(f"tokenizer.ggml.{kind}_token_id") for kind in ("bos", "eos", "eot")}

    def text(token: object) -> str:
        return tokens[token] if isinstance(token, int) and 0 <= token < len(tokens) else ""

    ends = [token for token in (ids["eos"], ids["eot"]) if isinstance(token, int)]
    return {
        "model_name": str(metadata.get("general.name", "")),
        "bos": text(ids["bos"]),
        "eos": text(ids["eos"]),
        "eos_ids": list(dict.fromkeys(ends)),
    }


def files_of_folder(folder: Path) -> EngineFiles:
    """Of a prepared folder, or of one that was published for OpenVINO. Raises: InvalidModelFile."""
    if not (folder / "tokenizer.json").exists():
        raise InvalidModelFile(f"{folder} has no tokenizer.json", "pull the model again, or another one")
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    words = _read_json(folder / "how.json") or _published_words(folder, tokenizer)
    return EngineFiles(
        tokenizer,
        Template(_template(folder), words["bos"], words["eos"]),
        str(words["model_name"]),
        tuple(words["eos_ids"]),
    )


def _template(folder: Path) -> str:
    written = folder / "chat_template.jinja"
    if written.exists():
        return written.read_text(encoding="utf-8")
    template: object = _read_json(folder / "tokenizer_config.json").get("chat_template", "")
    if isinstance(template, list):  # several, by name
        named = cast("list[dict[str, str]]", template)
        return next((t["template"] for t in named if t.get("name") == "default"), "")
    return str(template or "")


def _published_words(folder: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    config, tokens = _read_json(folder / "config.json"), _read_json(folder / "tokenizer_config.json")
    ends: object = _read_json(folder / "generation_config.json").get("eos_token_id", config.get("eos_token_id"))
    eos = _token_text(tokens.get("eos_token"))
    ids: list[object] = [*cast("list[object]", ends)] if isinstance(ends, list) else [ends]
    ids.append(tokenizer.token_id(eos) if eos else None)
    return {
        "model_name": str(config.get("_name_or_path") or folder.name),
        "bos": _token_text(tokens.get("bos_token")),
        "eos": eos,
        "eos_ids": list(dict.fromkeys(token for token in ids if isinstance(token, int))),
    }


def _token_text(token: object) -> str:
    """tokenizer_config.json writes a token as its text or as an object that holds it."""
    if isinstance(token, dict):
        return str(cast("dict[str, object]", token).get("content", ""))
    return token if isinstance(token, str) else ""


def _read_json(path: Path) -> dict[str, Any]:
    """Raises: InvalidModelFile. A file that is not there says nothing."""
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidModelFile(f"{path} cannot be read: {error}", "pull the model again") from error
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
