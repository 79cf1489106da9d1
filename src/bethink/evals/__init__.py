"""Measuring a model: tasks with their verifiers, arms, a runner that survives, statistics, and the report."""
