"""The beginnings of the manifests that are checked."""

PLAN = """\
apiVersion: lcm.5gdrones.eu/v1alpha1
kind: TrialPlan
metadata: {name: survey}
spec:
  parameters:
  - {name: url}
"""
TRIAL = """\
apiVersion: lcm.5gdrones.eu/v1alpha1
kind: Trial
metadata: {name: one}
spec:
  startTime: "2031-01-01T10:00:00Z"
"""
