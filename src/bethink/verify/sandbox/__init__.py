"""Untrusted Python, run where it can do no harm: `open_sandbox().run(program)`."""

from bethink.verify.sandbox.limits import Ended, Limits, Ran
from bethink.verify.sandbox.pool import Sandbox, open_sandbox
from bethink.verify.sandbox.shared import SharedSandbox

__all__ = ["Ended", "Limits", "Ran", "Sandbox", "SharedSandbox", "open_sandbox"]
