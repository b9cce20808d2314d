"""The local node: runs the pods bound to it as plain processes of this machine, without a container runtime.

`python -m lcm_operator.local.node` is started by `make up` and by the tests; docs/local-node.md tells people
what it gives and what it refuses. Nothing else may import from here but `local`.
"""
