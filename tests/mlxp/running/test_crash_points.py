"""A kill at any point between two effects on the disk leaves the old or the new: no loss, no mixture."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mlxp

PROGRAM = Path(__file__).parent / "crash_points.py"


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """What a reader saw meanwhile and what the next attempt found, after a death at each point of each scenario."""
    command = [sys.executable, str(PROGRAM), str(tmp_path_factory.mktemp("crashes"))]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    found = {}
    for scenario, meanwhile, afterwards in map(json.loads, result.stdout.splitlines()):
        found.setdefault(scenario, []).append((meanwhile, afterwards))
    return found


ARTIFACTS = [
    ("first checkpoint", None, "new", 12),
    ("checkpoint", "old", "new", 12),
    ("file in folders", "old", "new", 12),
    ("first folder", None, "new", 24),
    ("folder", "old", "new", 30),
    ("folder after file", "old file", "new", 24),
    ("file after folder", "old", "new file", 20),
    ("start after a kill between two renames", "old", "old", 4),
]


def test_artifact_is_the_old_or_the_new_at_every_point(points):
    for scenario, old, new, fewest in ARTIFACTS:
        seen = points[scenario]
        assert len(seen) > fewest, scenario
        assert (seen[0], seen[-1]) == ((old, old), (new, new)), scenario
        assert set(seen) <= {(old, old), (old, new), (new, new)}, scenario


def test_records_stay_whole_and_in_their_place_at_every_point(points):
    for scenario, earlier in (("first metrics", []), ("metrics", ["old"])):
        seen = points[scenario]
        assert len(seen) > 7, scenario
        assert seen[-1][0] == [*earlier, "new"], scenario
        for meanwhile, afterwards in seen:
            assert meanwhile in (earlier, [*earlier, "new"]), scenario
            assert afterwards == [*meanwhile, "next"], scenario


def test_every_scenario_is_looked_at(points):
    assert set(points) == {*(name for name, *_ in ARTIFACTS), "first metrics", "metrics"}


def test_reader_finds_a_folder_that_a_kill_has_left_aside(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(PROGRAM.parent)
    import crash_points

    crash_points.prepare(tmp_path, crash_points.restart, "old")
    artifacts = mlxp.Reader(tmp_path).filter()["artifact.folder..deep"][0]
    assert artifacts["model"].path.parent.name.startswith(".saving-")
    assert artifacts["model"].load() == "old"
