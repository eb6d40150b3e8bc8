"""A crawl that dies, or waits while all around it changes, at any point leaves the truth to the next reader."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "crawl_points.py"


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """For each scenario, how many runs the next reader took from the cache, at each point."""
    command = [sys.executable, str(PROGRAM), str(tmp_path_factory.mktemp("crawls"))]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    found = {}
    for runs, stopped, (cached, changed, new) in map(json.loads, result.stdout.splitlines()):
        found.setdefault((runs, stopped), []).append((cached, cached + changed + new))
    return found


@pytest.mark.skipif(os.name != "posix", reason="nothing to fork or to stop with")
@pytest.mark.parametrize(
    "scenario", [("changed_runs", "died"), ("interrupted", "died"), ("changed_runs", "overtaken")], ids=" ".join
)
def test_the_next_reader_sees_what_one_without_a_cache_sees(points, scenario):
    cached = [cached for cached, _ in points[scenario]]
    assert len(cached) > 20
    assert {runs for _, runs in points[scenario]} == {5}
    assert cached[-1] == 5  # the crawl had come to its end
    if scenario[1] == "died":
        assert cached == sorted(cached)  # what was kept is not lost again
