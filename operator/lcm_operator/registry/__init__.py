"""The client of a trial registry, which holds the start times."""
