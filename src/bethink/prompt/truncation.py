"""Which of the oldest turns of a conversation are left out when it has outgrown the context.

What always holds: system messages at the beginning stay, and so does the last question with all that follows it; the
rest begins with a user's turn. A cut stays where it is until the rest has outgrown its room again, so that the turns in
between find what was read of them in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile

from bethink.prompt.turns import last_question
from bethink.types import Message


def without_oldest(
    messages: Sequence[Message], n_tokens: Callable[[Message], int], most: int, step: int
) -> Sequence[Message]:
    """What remains of `messages` when as few as possible multiples of `step` tokens were left out for the rest to have
    at most `most`; where a question alone has more, it remains alone."""
    n_head = sum(1 for _ in takewhile(lambda message: message.role == "system", messages))
    before = [0, *accumulate(n_tokens(message) for message in messages)]
    left_out = max(0, -(-(before[-1] - most) // step)) * step
    starts = [at for at in range(n_head, last_question(messages) + 1) if messages[at].role == "user"]
    if not left_out or not starts:
        return messages
    start = next((at for at in starts if before[at] - before[n_head] >= left_out), starts[-1])
    return [*messages[:n_head], *messages[start:]]
