import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "reader_concurrency.py"


def test_readers_see_what_writers_wrote_at_any_moment():
    command = [sys.executable, SCRIPT, "--seconds", "5", "--writers", "8", "--readers", "2"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "readers" in answer.stdout
