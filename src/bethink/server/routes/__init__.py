"""Paths that are no way to ask: models, running requests, health."""
