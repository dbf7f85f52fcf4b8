"""What a process's clock shows in a test: as far from the truth as a file says, from moment to moment."""

import os
import time
from pathlib import Path

_time, _time_ns = time.time, time.time_ns


def _ahead() -> int:
    """Return the seconds by which the clock is ahead."""
    try:
        return int(Path(os.environ["CLOCK_AHEAD"]).read_text())
    except (OSError, ValueError):  # nothing said yet, or half written
        return 0


time.time = lambda: _time() + _ahead()
time.time_ns = lambda: _time_ns() + _ahead() * 10**9
