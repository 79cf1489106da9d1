"""What operators look at: logs, metrics, spans."""
