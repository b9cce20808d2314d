"""Stand-ins for what lies outside: the trial registry and the partner services; for demos and tests.

They may use what any process of ours uses, but know no cluster. Nothing that ships may import them.
"""
