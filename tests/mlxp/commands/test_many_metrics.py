"""A line with very many keys costs little more than its text."""

import json
import time

from mlxp.commands.main import main
from mlxp.run_directory.layout import RunDirectory
from mlxp_reader import Reader


def test_line_with_very_many_keys_is_bounded(tmp_path, capsys):
    run = RunDirectory(tmp_path / "logs/1")
    run.metadata.mkdir(parents=True)
    run.metrics_keys_file.parent.mkdir(parents=True)
    run.config_file.write_text("seed: 1\n")
    run.info_file.write_text("status: COMPLETE\n")
    run.metrics_file("train").write_text(json.dumps({f"key{number}": number for number in range(10_000)}) + "\n")
    began = time.process_time()
    frame = Reader(tmp_path / "logs").filter("seed == 1")
    assert list(frame["train.key9999"].iloc[0]) == [9999]
    assert len(repr(frame)) < 5000
    assert main(["show", "1", "--logs", str(tmp_path / "logs")]) == 0
    assert time.process_time() - began < 30  # more than ten times what it takes
    lines = capsys.readouterr().out.splitlines()
    assert sum("train.key" in line for line in lines) == 1000
    assert lines[-1] == "  and more metrics; --json shows those after the first 1000"
