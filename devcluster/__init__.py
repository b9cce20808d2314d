"""The local cluster: a real control plane and a node of plain processes, for trying out and for tests.

Used by `make up`, `make down`, `make run` and the tests; nothing of the operator may depend on it.
"""
