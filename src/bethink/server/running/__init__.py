"""From an ask to its answer: models on demand, a turn in the queue, and every token counted."""
