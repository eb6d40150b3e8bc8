"""Which runs are missing, and which are there twice."""

import pytest

from mlxp.errors import InvalidKeyError
from mlxp_reader import DataFrame, Reader


def frame_of(log_runs, *runs):
    return log_runs(*((config, {}, *status) for config, *status in runs))


def records(frame):
    return frame.to_dict("records")


def test_combinations_without_a_run_are_listed_in_the_order_of_a_sweep(log_runs):
    runs = frame_of(log_runs, ({"lr": 0.1, "seed": 0},), ({"lr": 1.0, "seed": 1},))
    assert records(runs.missing(lr=[0.1, 1], seed=range(2))) == [{"lr": 0.1, "seed": 1}, {"lr": 1, "seed": 0}]
    assert list(runs.missing(lr=0.1, seed=0).columns) == ["lr", "seed"]
    assert len(runs.missing(lr=0.1, seed=0)) == 0


@pytest.mark.parametrize(
    ("status", "is_missing"),
    [
        ("COMPLETE", False),
        ("RUNNING", False),
        ("STARTING", False),
        ("SUBMITTED", False),
        ("PREPARED", False),
        ("FAILED", True),
        ("KILLED", True),
        ("LOST", True),
        ("REFUSED", True),
    ],
)
def test_what_has_failed_is_missing_and_what_goes_on_is_not(log_runs, status, is_missing):
    runs = frame_of(log_runs, ({"seed": 1}, status), ({"seed": 2},))
    assert records(runs.missing(seed=[1, 2])) == ([{"seed": 1}] if is_missing else [])


def test_names_with_dots_are_given_by_a_dict(log_runs):
    runs = frame_of(log_runs, ({"optimizer": {"lr": 1, "name": "adam"}, "seed": 1},))
    wanted = {"optimizer.lr": [1, 2], "config.optimizer.name": "adam"}
    assert records(runs.missing(wanted, seed=1)) == [{"optimizer.lr": 2, "config.optimizer.name": "adam", "seed": 1}]


def test_values_are_compared_as_values(log_runs):
    runs = frame_of(
        log_runs,
        ({"x": 1},),
        ({"x": True},),
        ({"x": "1"},),
        ({"x": None},),
        ({"x": [1, 2]},),
        ({"y": 1},),
    )
    assert records(runs.missing(x=[1.0, True, "1", None, [1, 2.0]])) == []
    assert records(runs.missing(x=[0, False, "", [2, 1]])) == [{"x": one} for one in (0, False, "", [2, 1])]


def test_run_without_the_key_is_no_run_with_null(log_runs):
    runs = frame_of(log_runs, ({"x": 0.5},), ({"y": 1},))
    assert records(runs.missing(x=[0.5, None])) == [{"x": None}]


def test_everything_is_missing_where_there_is_no_run(tmp_path):
    (tmp_path / "logs").mkdir()
    assert len(Reader(tmp_path / "logs").filter().missing(lr=[1, 2], seed=range(3))) == 6


def test_wrong_names_are_told(log_runs):
    runs = frame_of(log_runs, ({"seed": 1},))
    with pytest.raises(InvalidKeyError, match=r"there is no key 'sede'; did you mean config\.seed\?"):
        runs.missing(sede=1)
    with pytest.raises(InvalidKeyError, match="takes keys and their values"):
        runs.missing()


def test_runs_that_are_there_twice_are_side_by_side(log_runs):
    runs = frame_of(
        log_runs,
        ({"seed": 1, "lr": 1},),
        ({"seed": 2, "lr": 1},),
        ({"seed": 1, "lr": 1.0},),
        ({"seed": 3, "lr": 1},),
        ({"seed": 2, "lr": 1}, "FAILED"),
        ({"lr": 1, "seed": 1}, "RUNNING"),
        ({"seed": 3, "lr": True},),
    )
    assert runs.duplicates()["info.logger.log_id"].tolist() == [1, 3, 6]
    assert type(runs.duplicates()) is DataFrame
    assert runs[runs["config.seed"] == 3].duplicates().empty


def test_what_does_not_matter_is_declared(log_runs):
    runs = frame_of(
        log_runs,
        ({"seed": 1, "data": {"cache": "/a", "path": "/d"}},),
        ({"seed": 1, "data": {"cache": "/b", "path": "/d"}},),
        ({"seed": 1, "data": {"path": "/d"}, "dropout": 0.0},),
    )
    assert runs.duplicates().empty
    ids = runs.duplicates(exclude=["data.cache*"], assume={"dropout": 0})["info.logger.log_id"]
    assert ids.tolist() == [1, 2, 3]


def test_other_programs_and_other_versions_are_other_runs(write_run, logs):
    file = {"current_file_path": str(logs.parent / "main.py")}
    write_run(1, {"seed": 1}, info=file)
    write_run(2, {"seed": 1}, info={"current_file_path": str(logs.parent / "other.py")})
    write_run(3, {"seed": 1}, info=file | {"identity": {"version": 2}})
    assert Reader(logs).filter().duplicates().empty
    write_run(4, {"seed": 1}, info=file | {"identity": {"version": 2.0}})
    assert Reader(logs).filter().duplicates()["info.logger.log_id"].tolist() == [3, 4]


def test_runs_of_mlxp_1(recorded):
    runs = Reader(recorded).filter()
    done = runs[runs["info.status"] == "COMPLETE"]
    assert len(done) > 0
    assert records(done.missing({"optimizer.lr": sorted(set(done["config.optimizer.lr"]))})) == []
    assert set(runs.duplicates(exclude=["*"])["info.logger.log_id"]) == set(done["info.logger.log_id"])


def test_none_that_is_missing_is_told_as_none(log_runs):
    runs = frame_of(log_runs, ({"dropout": 0.1, "name": "a"},))
    table = runs.missing({"name": ["a", None]}, dropout=[None, 0.2])
    assert [tuple(row.values()) for row in records(table)] == [("a", None), ("a", 0.2), (None, None), (None, 0.2)]
