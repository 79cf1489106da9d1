"""Files and batches: many requests in one file, answered when nobody else waits, and finished after any kill."""
