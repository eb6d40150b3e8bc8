import json
import os
import socket
import subprocess
import sys

import pytest

from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader.records.crawl import crawl


def problems_of(record):
    return [(problem.file, problem.line) for problem in record.problems]


def test_config_and_info_are_flattened(write_run):
    record = crawl(write_run(config={"optimizer": {"lr": 0.1, "betas": [0.9]}, "note": None}))
    assert record.values["config.optimizer.lr"] == 0.1
    assert record.values["config.optimizer.betas"] == [0.9]
    assert record.values["config.note"] is None
    assert record.values["info.status"] == "COMPLETE"


def test_an_empty_mapping_is_a_value(write_run):
    assert crawl(write_run(config={"model": {}})).values["config.model"] == {}


def test_every_recorded_run_of_mlxp_1_is_read_without_problems(recorded):
    records = [crawl(path) for path in sorted(recorded.iterdir())]
    assert len(records) == 12
    assert [record.problems for record in records] == [[]] * 12


def test_metrics_and_artifacts_of_mlxp_1_are_found(recorded):
    record = crawl(recorded / "1")
    assert record.metrics == {"test": ["acc", "best", "epoch", "loss"], "train": ["epoch", "grad", "loss", "phase"]}
    assert record.artifacts["text"] == {"plots/final": ["summary.txt"]}
    assert record.artifacts["pickle"] == {"": ["last_ckpt"]}


def test_metrics_and_artifacts_of_today_are_found(write_run):
    artifacts = {"pickle": {"": ["a.pkl"], "best": ["b.pkl"]}}
    record = crawl(write_run(metrics={"train": [{"loss": 1, "epoch": 0}]}, artifacts=artifacts))
    assert record.metrics == {"train": ["loss", "epoch"]}
    assert record.artifacts == artifacts


def test_the_submission_is_part_of_the_info(write_run):
    path = write_run(info={"scheduler": None})
    (path / "metadata/submission.yaml").write_text("name: SLURM\njob_id: 42\n")
    record = crawl(path)
    assert record.values["info.scheduler.job_id"] == 42
    assert "info.scheduler" not in record.values


def test_a_run_that_waits_in_a_queue_is_submitted(logs, settle):
    run = logs / "1"
    (run / "metadata").mkdir(parents=True)
    (run / "metadata/submission.yaml").write_text("name: SLURM\njob_id: 42\n")
    settle(run, seconds=600)
    record = crawl(run)
    assert record.values["info.status"] == "SUBMITTED"
    assert record.problems == []


def test_a_run_that_waits_says_what_its_submitter_does(logs):
    run = RunDirectory(logs / "1")
    run.metadata.mkdir(parents=True)
    write_yaml(run.submission_file, {"scheduler": "SLURM", "status": "REFUSED"})
    assert crawl(run.path).values["info.status"] == "REFUSED"


@pytest.mark.parametrize(("begun", "status"), [(1, "SUBMITTED"), (2, "FAILED")])
def test_a_run_that_is_submitted_again_waits_until_its_next_attempt_begins(write_run, begun, status):
    run = RunDirectory(write_run(status="FAILED", info={"attempt": begun}))
    write_yaml(run.submission_file, {"scheduler": "SLURM", "status": "SUBMITTED", "attempt": 2})
    assert crawl(run.path).values["info.status"] == status


@pytest.mark.parametrize("status", [[], {}, [["COMPLETE"]], 5])
def test_a_status_of_another_kind_breaks_nothing(write_run, status):
    assert crawl(write_run(status=status)).values["info.status"] == status


@pytest.mark.parametrize("names", [5, True, "text"])
def test_names_of_artifacts_that_are_no_list_are_a_problem(write_run, names):
    record = crawl(write_run(artifacts={"pickle": {"": names}, "json": {"": ["a.json"]}}))
    assert problems_of(record) == [("artifacts/.keys/artifacts.yaml", None)]
    assert record.artifacts == {"json": {"": ["a.json"]}}


@pytest.mark.parametrize("log_name", ["config", "info", "a/b", "\0", "\udce9"])
def test_names_that_no_log_can_have_are_a_problem(write_run, log_name):
    path = write_run()
    keys = json.dumps({log_name: ["loss"], "train": ["loss"]})
    RunDirectory(path).metrics_keys_file.write_text(keys, encoding="utf-8")
    (path / "metrics/train.json").write_text('{"loss": 1}\n')
    record = crawl(path)
    assert list(record.metrics) == ["train"]
    assert len(record.problems) == 1


def test_keys_that_are_no_list_are_a_problem(write_run):
    path = write_run(metrics={"train": [{"loss": 1}]})
    RunDirectory(path).metrics_keys_file.write_text("train: 3\n")
    record = crawl(path)
    assert problems_of(record) == [("metrics/.keys/metrics.yaml", None)]
    assert record.metrics == {"train": ["loss"]}


def test_a_silent_run_whose_process_is_gone_is_lost(write_run, settle):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    info = {"hostname": socket.gethostname(), "process_id": process.pid, "heartbeat": 10.0}
    path = write_run(status="RUNNING", info=info)
    assert crawl(path).values["info.status"] == "RUNNING"
    settle(path, seconds=100)
    assert crawl(path).values["info.status"] == "LOST"
    assert "RUNNING" in RunDirectory(path).info_file.read_text()


def test_what_became_of_a_silent_run_with_a_job_is_left_to_its_scheduler(write_run, settle):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    path = write_run(status="RUNNING", info={"hostname": socket.gethostname(), "process_id": process.pid})
    write_yaml(RunDirectory(path).submission_file, {"scheduler": "slurm", "scheduler_job_id": "7"})
    settle(path, seconds=100)
    assert crawl(path).values["info.status"] == "RUNNING"


def test_a_copied_directory_is_known_by_its_new_name(write_run):
    path = write_run(1)
    record = crawl(path.rename(path.with_name("7")))
    assert (record.log_id, record.values["info.logger.log_id"]) == (7, 7)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lr: [1, 2\n", 2),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\n b: 2\n", 2),
        ("- 1\n- 2\n", None),
        ("just text", None),
        ("", None),
        ("a: *missing\n", 1),
        ("a: !!python/object/apply:os.system ['echo']\n", 1),
        ("when: 2026-13-45\n", None),
        ("a: !!timestamp x\n", None),
        ("{" * 100_000, None),
        ("a: &a [*a]\n", None),
        ("? [a]\n: 1\n", 1),
    ],
)
def test_a_broken_config_is_a_problem_and_hides_nothing_else(write_run, text, line):
    path = write_run(config={"lr": 1})
    (path / "metadata/config.yaml").write_text(text)
    record = crawl(path)
    assert problems_of(record) == [("metadata/config.yaml", line)]
    assert record.values["info.status"] == "COMPLETE"


def test_bytes_that_are_no_text_are_a_problem(write_run):
    path = write_run()
    (path / "metadata/config.yaml").write_bytes(b"a: \xff\xfe\n")
    assert problems_of(crawl(path)) == [("metadata/config.yaml", None)]


def test_a_file_that_no_config_can_be_is_not_read(write_run):
    path = write_run()
    with (path / "metadata/config.yaml").open("r+b") as file:
        file.truncate(100 * 2**20)
    record = crawl(path)
    assert problems_of(record) == [("metadata/config.yaml", None)]
    assert "larger than 16 MB" in record.problems[0].error


def test_aliases_that_stand_for_billions_of_values_are_a_problem(write_run):
    lines = ["a0: &a0 {x: 1, y: 2}"] + [f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 60)]
    path = write_run()
    (path / "metadata/config.yaml").write_text("\n".join(lines))
    record = crawl(path)
    assert problems_of(record) == [("metadata/config.yaml", None)]


def test_of_keys_that_are_given_twice_the_last_counts(write_run):
    path = write_run()
    (path / "metadata/config.yaml").write_text("lr: 1\nlr: 2\n")
    record = crawl(path)
    assert record.values["config.lr"] == 2
    assert record.problems == []


def test_different_keys_of_one_name_are_a_problem(write_run):
    record = crawl(write_run(config={"a": {"b": 1}, "a.b": 2}))
    assert problems_of(record) == [("metadata/config.yaml", None)]


def test_a_missing_config_is_a_problem_of_a_run_that_is_not_just_starting(write_run, settle):
    path = write_run()
    (path / "metadata/config.yaml").unlink()
    assert crawl(path).problems == []
    settle(path, seconds=600)
    assert problems_of(crawl(path)) == [("metadata/config.yaml", None)]


@pytest.mark.parametrize("file", ["metadata/config.yaml", "metadata/info.yaml", "metrics/.keys/metrics.yaml"])
def test_a_folder_in_the_place_of_a_file_is_a_problem(write_run, file):
    path = write_run()
    (path / file).unlink()
    (path / file).mkdir()
    assert (file, None) in problems_of(crawl(path))


def test_a_loop_of_symbolic_links_is_a_problem(write_run):
    file = write_run() / "metadata/config.yaml"
    file.unlink()
    file.symlink_to(file)
    assert problems_of(crawl(file.parents[1])) == [("metadata/config.yaml", None)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_in_the_place_of_a_file_does_not_block(write_run):
    file = write_run() / "metadata/config.yaml"
    file.unlink()
    os.mkfifo(file)
    assert problems_of(crawl(file.parents[1])) == [("metadata/config.yaml", None)]


def test_metric_keys_are_recovered_from_the_metrics(write_run):
    path = write_run(metrics={"train": [{"loss": 1}, {"loss": 2, "acc": 0}]})
    (path / "metrics/.keys/metrics.yaml").write_text("train: [lo")
    record = crawl(path)
    assert record.metrics == {"train": ["loss", "acc"]}
    assert problems_of(record) == [("metrics/.keys/metrics.yaml", 2)]


def test_only_an_old_final_run_without_problems_is_settled(write_run, settle):
    final, running = write_run(1), write_run(2, status="RUNNING")
    assert not crawl(final).settled
    settle(final)
    settle(running)
    assert crawl(final).settled
    assert not crawl(running).settled
