"""Performs activities: one module for each kind.

Each gets its part of the plan and the scope to render it in; it returns `Performed` or raises
`ActivityFailedError`, and can be cancelled. It must not depend on checkpoints.
"""
