"""The dummies as processes."""

import os
import subprocess
import sys


def begun(service: str, **environment: str) -> subprocess.Popen[str]:
    """Start `registry` or `partners` at any free port, which its first line shows."""
    address = {f"LCM_{service.upper()}_ADDRESS": "127.0.0.1:0"}
    return subprocess.Popen(
        [sys.executable, "-m", f"dummies.{service}"],
        env=os.environ | address | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
