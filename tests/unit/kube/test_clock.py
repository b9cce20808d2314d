"""The clocks, and that nothing else reads them."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from lcm_operator.kube.clock import NodeClock, elapsed


def test_node_clock_is_the_wall_clock_in_utc():
    before = datetime.now(UTC)
    now = NodeClock().now()
    assert before - timedelta(seconds=1) <= now <= datetime.now(UTC) + timedelta(seconds=1)
    assert now.utcoffset() == timedelta(0)


def test_elapsed_counts_seconds_since_the_start_of_the_machine():
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= elapsed() <= NodeClock().elapsed() <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)\n",
        "import datetime\n\nNOW = datetime.datetime.utcnow()\n",
        "import time\n\nNOW = time.time()\n",
        "from time import monotonic\n\nNOW = monotonic()\n",
        "import time\n\nNOW = time.clock_gettime(time.CLOCK_BOOTTIME)\n",
    ],
)
@pytest.mark.parametrize(
    ("module", "refused"), [("domain/decide", True), ("rest/app", True), ("kube/clock", False)]
)
def test_linter_refuses_a_clock_of_its_own(module, refused, text):
    path = f"operator/lcm_operator/{module}.py"
    asked = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename", path, "-"]
    checked = subprocess.run(asked, input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, "TID251" in checked.stdout) == ((1, True) if refused else (0, False))
