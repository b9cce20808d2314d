"""The plan language: what a plan may say, and what its texts mean. Pure.

Shared by the operator, the engine and the command line. The records of a plan are `api.plan`: a TrialPlan, a
Trial and a TrialEngine have them in their spec.
"""
