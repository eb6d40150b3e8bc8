"""One job per run and attempt, though whoever submits dies at any point, or gives the command twice.

What happens is in crashing.py: a scheduler in a file, and commands that die after their n-th effect.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlxp.run_directory.locks import locked

WALKS = ["submit", "submit-array", "submit-pairs", "resubmit", "cancel"]


def points(*arguments):
    command = [sys.executable, Path(__file__).with_name("crashing.py"), *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900).stdout.splitlines()
    return [json.loads(line) for line in lines]


def number_of(job_id):
    return job_id.partition("_")[0]


@pytest.fixture(scope="module", params=WALKS)
def walk(request, tmp_path_factory):
    """What came of a command that died at any of its points and was given again."""
    found = points("walk", str(tmp_path_factory.mktemp("walk")), request.param)
    return request.param, found


def test_every_point_is_walked(walk):
    verb, found = walk
    assert len(found) > 8
    assert [point["died"] for point in found] == [True] * (len(found) - 1) + [False], verb


def test_no_run_is_without_a_job_and_none_has_two(walk):
    verb, found = walk
    for point in found:
        live = [job for job, state in point["jobs"] if state == "WAITING"]
        ids = [job_id for _, job_id, _, _ in point["runs"]]
        assert all(status == "SUBMITTED" for status, *_ in point["runs"]), point
        if verb == "cancel":
            assert live == [], point
            continue
        expected = 1 if verb in {"submit-array", "submit-pairs"} else 2
        # A command that has told of all its runs has come to its end, and another one submits them once more.
        times = 2 if point["died"] and point["told"] == 2 and len(point["runs"]) == 4 else 1
        assert len(live) == expected * times, point
        assert {number_of(job_id) for job_id in ids} == set(live), point
        assert len(ids) == 2 * times


def test_nothing_stays_locked_and_the_same_command_ends_well(walk):
    verb, found = walk
    for point in found:
        with locked(list(map(Path, point["left"])), "takes what the dead have left"):
            pass
        assert point["again"] == 0 or (verb == "resubmit" and "it is SUBMITTED" in point["printed"]), point


@pytest.mark.parametrize("verbs", [("submit", "submit"), ("resubmit", "resubmit"), ("submit", "resubmit")])
def test_commands_given_twice_at_once_submit_each_run_once(tmp_path, verbs):
    found = points("double", str(tmp_path), *verbs)
    assert len(found) == 67
    for point in found:
        live = [job for job, state in point["jobs"] if state == "WAITING"]
        ids = [job_id for _, job_id, _, _ in point["runs"]]
        assert sorted(ids) == sorted(live), point
        assert len(set(ids)) == len(ids)
        assert "Traceback" not in point["printed"], point
    assert any(1 in point["codes"] or len(point["runs"]) == 2 for point in found)
