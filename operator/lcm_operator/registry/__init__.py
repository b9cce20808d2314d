"""The trial registry, which holds the start times: a client of it, and a dummy of it."""
