"""The plan language: rules for plans, and the meaning of their expressions. Pure.

The operator, the engine and the command line share it. The records of a plan are in `api.plan`.
"""
