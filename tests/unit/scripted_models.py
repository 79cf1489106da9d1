"""Models that say what is written, with a small template of their own: what most tests ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bethink.engine.scripted import Script, ScriptedEngine, scripted_tokenizer
from bethink.model import Model, stop_ids
from bethink.profiles import Profile, load_profiles
from bethink.prompt import Template, Tokenizer
from bethink.types import ModelRef

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PROFILES = {profile.name: profile for profile in load_profiles()}
PLAIN, NATIVE = PROFILES["qwen2.5"], PROFILES["qwen3"]


def scripted_model(
    script: Script, *, profile: Profile = PLAIN, name: str = "scripted", traces: Path | None = None, **settings: Any
) -> Model:
    """`settings` are the engine's."""
    tokenizer = Tokenizer(scripted_tokenizer())
    return Model(
        engine=ScriptedEngine(script, **settings),
        tokenizer=tokenizer,
        template=Template(CHATML),
        profile=profile,
        ref=ModelRef(name, "0" * 64),
        stop_ids=stop_ids(tokenizer, profile.stop, ()),
        traces=traces,
    )
