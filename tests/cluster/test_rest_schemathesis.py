"""The sidecar keeps to its description whatever it is sent: generated requests, on the real API server."""

import subprocess
import sys
from pathlib import Path

from tests.cluster.rest_harness import FAR, KEY, Caller

EXAMPLES = "5"
"""For each of the routes; beside them come the edges of each value."""


def test_no_request_gets_an_answer_that_is_not_described(caller: Caller, tmp_path: Path):
    caller.registry.trials = [{"id": "known-there", "start_time": FAR}]

    result = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            *(f"http://127.0.0.1:{caller.rest.port}/openapi.json", "--header", f"Authorization: {KEY}"),
            # Well-formed requests can be refused for what they mean.
            *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
            *("--max-examples", EXAMPLES, "--generation-deterministic", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "status=500" not in caller.rest.log
