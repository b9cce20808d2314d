"""What the real API server and the one in memory have in common: each case runs against both."""

from tests.harness import api_read_cases, api_write_cases  # noqa: F401 - each adds its cases
from tests.harness.api_case import CASES, Subject

__all__ = ["CASES", "Subject"]
