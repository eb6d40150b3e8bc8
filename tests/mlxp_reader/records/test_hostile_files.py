"""Whatever the files of one run hold, the reader opens, tells of it, and shows the other runs."""

import os

import pytest

from mlxp.run_directory.budget import MOST_VALUES
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import Reader
from mlxp_reader.records.crawl import crawl

KEYS, ARTIFACTS = "metrics/.keys/metrics.yaml", "artifacts/.keys/artifacts.yaml"
INFO, CONFIG = "metadata/info.yaml", "metadata/config.yaml"


def aliases(levels, opening="[", closing="]"):
    """Few lines that stand for ten to the power of `levels` values."""
    lines = [f"a0: &a0 {opening}x{closing}"]
    for level in range(1, levels):
        named = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {opening}{named}{closing}")
    return "\n".join(lines) + "\n"


def indented(text):
    return "".join(f"  {line}\n" for line in text.splitlines())


HOSTILE = {
    "aliases in the keys": (KEYS, aliases(9)),
    "aliases in the keys of a log": (KEYS, "train:\n- &a [x, x]\n- &b [*a, *a]\n- [*b, *b]\n"),
    "aliases in the artifacts": (ARTIFACTS, "pickle:\n" + indented(aliases(9))),
    "aliases among the names of artifacts": (ARTIFACTS, "pickle:\n  '': [&a [x], *a]\n"),
    "aliases in the config": (CONFIG, f"a: &a [{'1,' * 20_001}]\n" + "".join(f"k{n}: *a\n" for n in range(2000))),
    "aliases in the info": (INFO, "status: COMPLETE\n" + aliases(9)),
    "aliases of one text": (CONFIG, f"a: &a {'x' * 100_000}\n" + "".join(f"k{n}: *a\n" for n in range(2000))),
    "aliases that are merged": (
        CONFIG,
        "a0: &a0 {k: 1}\n"
        + "".join(f"a{n}: &a{n} {{<<: [{'*a' + str(n - 1) + ', '} *a{n - 1}]}}\n" for n in range(1, 40)),
    ),
    "too many values": (CONFIG, f"a: [{'1,' * MOST_VALUES}]\n"),
    "too many keys": (CONFIG, "".join(f"k{n}: 1\n" for n in range(70_000))),
    "endless section": (CONFIG, f"? {'x' * 5000}\n: a: 1\n" + "".join(f"  k{n}: 1\n" for n in range(20))),
    "endless number": (CONFIG, f"a: 0x{'f' * 20_000}\n"),
    "endless name": (CONFIG, f"0x{'f' * 20_000}: 1\n"),
    "endless heartbeat": (INFO, f"status: RUNNING\nheartbeat: 1{'0' * 400}\n"),
    "exit": (INFO, "status: FAILED\nexit: boom\n"),
    "attempt": (INFO, "status: FAILED\nattempt: x\n"),
    "git": (INFO, "status: FAILED\ngit: abc\n"),
    "duration": (INFO, "status: FAILED\nduration: abc\n"),
    "started_at": (INFO, "status: FAILED\nstarted_at: 5\n"),
    "logger": (INFO, "status: FAILED\nlogger: [1]\n"),
    "host": (INFO, "status: RUNNING\nhostname: {a: 1}\nprocess_id: [1]\n"),
    "NUL": (CONFIG, "a: \0\n"),
    "half a character": (CONFIG, 'a: "\\ud800"\n'),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_a_problem_of_its_run_and_hides_no_other(write_run, logs, case):
    file, text = HOSTILE[case]
    hostile = write_run(1, {"lr": 1}, artifacts={"pickle": {"": ["model"]}}, metrics={"train": [{"loss": 1.0}]})
    (hostile / file).write_text(text)
    write_run(2, {"lr": 2}, metrics={"train": [{"loss": 2.0}]})
    reader = Reader(logs)
    assert {problem for problem in reader.problems["file"] if "\n" not in problem} == {file}
    runs = reader.filter()
    assert "2 runs" in repr(runs)
    assert runs[runs["info.logger.log_id"] == 2]["config.lr"].tolist() == [2]
    assert runs["train.loss"].tolist()[1] == [2.0]
    assert Reader(logs, refresh=False).filter("lr == 2")["info.status"].tolist() == ["COMPLETE"]


def test_names_in_control_characters_and_numbers_are_names(write_run):
    path = write_run()
    RunDirectory(path).metrics_keys_file.write_text('train: [1, true, 2.5, "a\\0b", 2026-11-30]\n')
    (path / "metrics/train.json").touch()
    record = crawl(path)
    assert record.metrics == {"train": ["1", "True", "2.5", "a\0b", "2026-11-30"]}
    assert record.problems == []


def test_all_files_of_a_run_share_one_budget(write_run):
    path = write_run(metrics={"train": [{"loss": 1}]})
    half = f"a: [{'1,' * (MOST_VALUES // 2)}]\n"
    (path / CONFIG).write_text(half)
    (path / INFO).write_text(f"status: COMPLETE\n{half}")
    record = crawl(path)
    assert [problem.file for problem in record.problems] == [CONFIG]
    assert record.metrics == {"train": ["loss"]}


def test_a_list_of_twenty_thousand_is_an_honest_value(write_run, logs):
    write_run(1, {"ids": list(range(20_000))})
    assert Reader(logs).filter()[0]["config.ids"] == list(range(20_000))


def test_a_first_record_of_any_length_tells_the_keys(write_run):
    record = {f"a_long_name_{n}": n for n in range(20_000)}
    path = write_run(metrics={"train": [record, {"b": 1}]})
    RunDirectory(path).metrics_keys_file.unlink()
    assert crawl(path).metrics == {"train": list(record)}


@pytest.mark.parametrize("file", [CONFIG, INFO, KEYS, ARTIFACTS, "metrics/train.json"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_no_pipe_and_no_folder_in_the_place_of_a_file_blocks(write_run, logs, file):
    for log_id, put in enumerate((os.mkfifo, os.mkdir), start=1):
        path = write_run(log_id, {"lr": log_id}, metrics={"train": [{"loss": 1.0}]})
        (path / file).unlink()
        put(path / file)
    write_run(3, {"lr": 3}, metrics={"train": [{"loss": 3.0}]})
    runs = Reader(logs).filter()
    assert [list(cell) for cell in runs["train.loss"].dropna()][-1] == [3.0]


def test_a_name_that_is_no_text_hides_no_other(tmp_path):
    run = RunDirectory(tmp_path / "1")
    run.metadata.mkdir(parents=True)
    run.config_file.write_text("seed: 1\n")
    run.metrics_keys_file.parent.mkdir(parents=True)
    run.metrics_keys_file.write_text('train:\n- loss\n- "caf\\uDCE9"\n')
    run.metrics_file("train").write_text('{"loss": 0.5, "caf\\udce9": 1}\n')
    reader = Reader(tmp_path)
    assert list(reader.filter()["train.loss"].iloc[0]) == [0.5]
    assert any("['caf\\udce9'] are no names of text" in error for error in reader.problems["error"])
