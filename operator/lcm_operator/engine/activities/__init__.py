"""How each kind of activity is performed, one module each.

A performer gets its part of the plan, the scope to render it in and what it may use; it returns `Performed`
or raises `ActivityFailedError`. It is ended by cancelling it. It knows nothing of checkpoints.
"""
