"""Prometheus, for the tests of alerts and dashboard."""
