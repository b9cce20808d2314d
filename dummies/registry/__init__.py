"""A trial registry that keeps its trials in memory."""
