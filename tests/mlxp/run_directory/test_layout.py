"""Ids, whole files, names."""

import subprocess
import sys

import pytest

from mlxp.errors import InvalidKeyError, LogDirectoryError
from mlxp.run_directory.files import read_yaml, write_atomically, write_yaml
from mlxp.run_directory.layout import claim_run_directory, create_run_directory, run_directories


def test_ids_count_from_one(tmp_path):
    assert [create_run_directory(tmp_path / "logs").log_id for _ in range(3)] == [1, 2, 3]


def test_id_of_a_removed_run_is_not_used_again(tmp_path):
    for _ in range(3):
        last = create_run_directory(tmp_path)
    last.path.rmdir()
    assert create_run_directory(tmp_path).log_id == 4


def test_gap_is_not_filled(tmp_path):
    (tmp_path / "7").mkdir()
    assert create_run_directory(tmp_path).log_id == 8


def test_forced_id_counts_for_the_next_one(tmp_path):
    create_run_directory(tmp_path)
    claim_run_directory(tmp_path, 50)
    assert create_run_directory(tmp_path).log_id == 51


@pytest.mark.parametrize("log_id", [0, -3])
def test_impossible_forced_id_is_refused(tmp_path, log_id):
    with pytest.raises(InvalidKeyError, match="the id of a run is a whole number from 1"):
        claim_run_directory(tmp_path / "logs", log_id)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("name", ["notes", "003", "²", "1.5", "-4", "1 "])
def test_stray_folder_does_no_harm(tmp_path, name):
    (tmp_path / name).mkdir()
    create_run_directory(tmp_path)
    assert [run.log_id for run in run_directories(tmp_path)] == [1]


def test_file_named_like_an_id_is_passed_over(tmp_path):
    (tmp_path / "1").touch()
    assert create_run_directory(tmp_path).log_id == 2
    assert [run.log_id for run in run_directories(tmp_path)] == [2]


def test_damaged_memory_of_the_last_id_does_no_harm(tmp_path):
    create_run_directory(tmp_path)
    (tmp_path / ".ids/what?").touch()
    (tmp_path / ".ids/1").unlink()
    assert create_run_directory(tmp_path).log_id == 2


def test_last_id_of_an_earlier_version_is_respected(tmp_path):
    (tmp_path / ".mlxp").mkdir()
    (tmp_path / ".mlxp/last_id").write_text("7", encoding="utf-8")
    assert create_run_directory(tmp_path).log_id == 8


STARTS = """
import os, sys
from pathlib import Path
from mlxp.run_directory.layout import create_run_directory

parent = Path(sys.argv[1])
for _ in range(40):
    start, ready = os.pipe()
    for _ in range(8):
        if os.fork() == 0:
            os.close(ready)
            os.read(start, 1)
            os.write(1, f"{create_run_directory(parent).log_id}\\n".encode())
            os._exit(0)
    os.close(ready)
    for _ in range(8):
        os.wait()
    os.close(start)
    for path in parent.glob("[0-9]*"):
        path.rmdir()
    last = create_run_directory(parent)
    os.write(1, f"{last.log_id}\\n".encode())
    last.path.rmdir()
"""


def test_no_id_is_given_twice_though_runs_start_at_once_and_are_removed(tmp_path):
    command = [sys.executable, "-c", STARTS, str(tmp_path / "logs")]
    ids = list(map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()))
    assert len(ids) == len(set(ids)) == 40 * 9
    assert len(list((tmp_path / "logs/.ids").iterdir())) == 1


def test_sixteen_processes_get_eight_hundred_different_ids(tmp_path):
    code = (
        "import sys; from pathlib import Path; from mlxp.run_directory.layout import create_run_directory\n"
        "for _ in range(50): print(create_run_directory(Path(sys.argv[1])).log_id)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "logs")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(16)]
    ids = [int(line) for process in processes for line in process.communicate(timeout=120)[0].split()]
    assert len(ids) == len(set(ids)) == 800


def test_directories_come_in_the_order_of_their_ids(tmp_path):
    for name in ("10", "9", "100"):
        (tmp_path / name).mkdir()
    assert [run.log_id for run in run_directories(tmp_path)] == [9, 10, 100]


def test_parent_that_is_a_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "logs").touch()
    with pytest.raises(LogDirectoryError, match=r"cannot create a run's directory in .*logs: File exists"):
        create_run_directory(tmp_path / "logs")


def test_file_that_cannot_be_replaced_keeps_its_content(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(LogDirectoryError, match="cannot write"):
        write_atomically(tmp_path / "folder", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_yaml_keeps_order_types_and_characters(tmp_path):
    content = {"z": 1, "a": [1.5, 1e-05, None, True, "on", "1e-3", "héllo", "a: b", "2026-01-01"], "e": {}}
    write_yaml(tmp_path / "file.yaml", content)
    assert list(read_yaml(tmp_path / "file.yaml").items()) == list(content.items())


def test_missing_yaml_is_none(tmp_path):
    assert read_yaml(tmp_path / "none.yaml") is None


def test_what_cannot_be_a_run_is_passed_over(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "20261123054830123456").mkdir()
    (tmp_path / "3").symlink_to("3")
    assert [run.log_id for run in run_directories(tmp_path)] == [1]
