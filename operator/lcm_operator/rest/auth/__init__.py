"""Authentication: API keys, callback tokens, and the tokens of engine pods."""
