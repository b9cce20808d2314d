"""LCM Operator: starts field trials at their time, exactly once, and restores their engines."""
