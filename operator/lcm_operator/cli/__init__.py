"""The `lcm` command."""
