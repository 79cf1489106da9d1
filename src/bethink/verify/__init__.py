"""Verifiers: text in, a `Verdict` or a plain yes and no out. They know no engine and no model."""
