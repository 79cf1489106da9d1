"""How long a model stays in memory because a client wishes so.

Memory is everybody's: whoever does not administer this server can lengthen that a little, and neither pin a model nor
throw it out.
"""

from __future__ import annotations

from bethink.server.accounts import Principal

LONGEST_S = 3600.0
"""How long a client may have an idle model kept for it."""


def allowed_keep(keep_s: float | None, who: Principal) -> tuple[float | None, tuple[str, ...]]:
    """What is honoured of that wish, and what to tell the client of the rest. Refusing the question instead would break
    stock clients, which send the wish with every one."""
    if keep_s is None or who.has("admin") or 0 < keep_s <= LONGEST_S:
        return keep_s, ()
    wish = "unloading a model" if keep_s == 0 else f"keeping a model for more than {LONGEST_S:.0f} s"
    return None, (f"keep_alive is not honoured: {wish} needs a key with the scope admin",)
