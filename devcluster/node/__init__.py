"""The local node: runs the pods bound to it as plain processes of this machine, without a container runtime.

`python -m devcluster.node` is started by `make up` and by the tests; docs/local-node.md
describes what it supports and refuses. Nothing outside `devcluster` may import from here but the tests.
"""
