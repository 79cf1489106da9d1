"""What the contract suite holds in its hands: an engine that is open, its tokenizer, and a way to open another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bethink.engine.protocol import Engine, StreamFinish, Token, TokenStream
from bethink.prompt import Tokenizer
from bethink.types import Sampling

SMALL_KV_TOKENS = 512
"""The cache of an engine that `Subject.open_small` opens."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One stream, read to its end."""

    tokens: tuple[Token, ...]
    finish: StreamFinish | None

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(token.id for token in self.tokens)


@dataclass(frozen=True, slots=True)
class Subject:
    """`open_small` opens one more engine for the same model, with `SMALL_KV_TOKENS` of cache; the caller closes it."""

    name: str
    engine: Engine
    tokenizer: Tokenizer
    open_small: Callable[[], Engine]

    def prompt(self, question: str, said: str = "") -> list[int]:
        return self.tokenizer.encode(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{said}")

    @property
    def story(self) -> list[int]:
        """A prompt whose answer is long."""
        return self.prompt("Tell me a long story about a fox.")

    @property
    def end_id(self) -> int:
        end = self.tokenizer.token_id("<|im_end|>")
        assert end is not None
        return end

    async def hear(self, ids: Sequence[int], sampling: Sampling) -> Heard:
        return await hear(self.engine.start(ids, sampling))


async def hear(stream: TokenStream) -> Heard:
    tokens = [token async for token in stream]
    return Heard(tuple(tokens), stream.finish)


async def take(stream: TokenStream, n_tokens: int) -> list[int]:
    """The next tokens, and no more."""
    return [(await anext(aiter(stream))).id for _ in range(n_tokens)]
