"""One small file for each task; none knows another."""
