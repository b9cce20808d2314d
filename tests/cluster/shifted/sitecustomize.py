"""Sets the clock of one process, not of the machine: by so many seconds as a file says, read at each look.

Python imports a module of this name at its start from PYTHONPATH. Only `time.time` is shifted: what counts
passing time goes on.
"""

import os
import time
from pathlib import Path

_REAL = time.time
_SHIFT = Path(os.environ["LCM_TEST_CLOCK_SHIFT"])


def _shifted() -> float:
    try:
        return _REAL() + float(_SHIFT.read_text() or 0)
    except (OSError, ValueError):
        return _REAL()


time.time = _shifted
