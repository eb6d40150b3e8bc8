"""What was logged stays, under threads, forks and kills: often enough here to notice, and many times on demand.

    MLXP_STRESS=1 python -m pytest -n 0 tests/mlxp/running/test_stress.py

does each as often as docs/explanation/promises.md says.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "stress.py"


COUNTS = {  # in the gate, and on demand
    "closes": (60, 2000),
    "close_ranges": (60, 1500),
    "kills": (40, 1000),
    "forks": (40, 500),
    "terminations": (60, 1000),
    "pools": (12, 250),
}


@pytest.mark.parametrize("what", COUNTS)
def test_nothing_is_lost_moved_or_stuck(tmp_path, what):
    times = COUNTS[what][bool(os.environ.get("MLXP_STRESS"))]
    command = [sys.executable, str(PROGRAM), what, str(times), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 + times)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{times} {what}, ")
