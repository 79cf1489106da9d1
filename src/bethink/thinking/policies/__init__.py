"""Rules that decide when a thought goes on, is closed, or is rolled back. They never read tokens themselves."""
