"""``mlxp show`` prints the chain of a run and the size of the store; ``mlxp diff --code`` what differs in the code."""

import json
import os
from pathlib import Path

import pytest
import yaml

from mlxp.commands.main import main
from mlxp.running.code_state import capture


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(log_id, logs="logs", **info):
    folder = Path(logs, str(log_id), "metadata")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "info.yaml").write_text(yaml.safe_dump({"status": "COMPLETE", **info}), encoding="utf-8")
    (folder / "config.yaml").write_text("lr: 0.1\n", encoding="utf-8")


def with_code(log_id, files):
    code = Path(f"code-{log_id}")
    for name, content in files.items():
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_bytes(content)
    run(log_id, code={"state": capture(code.absolute(), Path("logs/.store").absolute()).tree, "top": "/gone"})


def printed(capsys, *words):
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_chain_of_a_run_is_shown_in_both_directions(capsys):
    run(7, logs="other")
    run(1, parents=["../../other/7", "../99"])
    run(2, parents=["../1"])
    run(3, parents=[], rerun_of=2, reproduces=True)
    run(4, parents=["../2", "../1"], rerun_of=None)
    run(5, rerun_of=4, reproduces=False)
    told = printed(capsys, "show", "2")
    assert (
        "made from\n"
        "  run 1  COMPLETE  loaded a checkpoint or artifact\n"
        "    run ../other/7  COMPLETE  loaded a checkpoint or artifact\n"
        "    run 99  not there any more  loaded a checkpoint or artifact\n"
    ) in told
    assert (
        "used by\n"
        "  run 3  COMPLETE  does it again, and reproduces it\n"
        "  run 4  COMPLETE  loaded a checkpoint or artifact of it\n"
        "    run 5  COMPLETE  does it again, and does not reproduce it\n"
    ) in told
    assert "made from\n  run 2  COMPLETE  done again\n" in printed(capsys, "show", "3")
    told = json.loads(printed(capsys, "show", "5", "--json"))
    assert (told["made_from"][0]["run"], told["made_from"][0]["links"][0]["run"]) == ("4", "2")
    assert told["used_by"] == []


def test_runs_that_name_each_other_are_a_chain_with_an_end(capsys):
    run(1, parents=["../2"])
    run(2, parents=["../1"])
    assert printed(capsys, "show", "1").count("run 2  COMPLETE") == 2


@pytest.mark.parametrize("parents", [None, "../1", 5, [5], ["nowhere"], ["../x\x1b[2J"], ["../²", f"../{'9' * 5000}"]])
def test_strange_parents_are_no_error(capsys, parents):
    run(1, parents=parents)
    run(2, parents=parents, rerun_of=float("inf"))
    assert "\x1b" not in printed(capsys, "show", "1")


def test_size_of_the_store_is_shown(capsys):
    with_code(1, {"main.py": os.urandom(200_000)})
    assert "store  1 state of the code, 0.2 MB\n" in (told := printed(capsys, "show", "1"))
    assert "code   state " in told
    Path("logs/.store/copies/x").mkdir(parents=True)
    Path("logs/.store/copies/x/main.py").write_bytes(bytes(3_000_000))
    assert "1 state of the code, 0.2 MB; 1 copy, 3.0 MB\n" in printed(capsys, "show", "1")
    told = json.loads(printed(capsys, "show", "1", "--json"))["store"]
    assert (told["states"], told["copies"], told["copy_bytes"]) == (1, 1, 3_000_000)


def test_what_differs_in_the_code_is_shown_from_the_store(capsys):
    with_code(1, {"main.py": b"a = 1\nb = 2\n", "data.bin": b"\0\1", "gone.py": b"x\n", "mü.py": b"1\n"})
    with_code(
        2,
        {
            "main.py": b"a = 1\nb = 3\n",
            "data.bin": b"\0\2",
            'new"\t.py': b"\x1b]0;x\n",
            "mü.py": b"2\n",
        },
    )
    told = printed(capsys, "diff", "1", "2", "--code")
    assert "info.code.state" in told
    assert "code of run 1 and run 2\n" in told
    assert "--- 1/main.py\n+++ 2/main.py\n@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3\n" in told
    assert "Binary files 1/data.bin and 2/data.bin differ\n" in told
    assert '+++ "2/new\\"\\t.py"\n' in told
    assert "+\\x1b]0;x\n" in told
    assert "+++ 2/mü.py" in told
    assert "--- 1/gone.py\n+++ /dev/null\n" in told
    assert "code of run 1" not in printed(capsys, "diff", "1", "2")
    told = json.loads(printed(capsys, "diff", "1", "2", "1", "--code", "--json"))
    assert "+b = 3\n" in told["code"]["2"]


def test_same_code_is_said_to_be_the_same(capsys):
    with_code(1, {"main.py": b"1\n"})
    with_code(2, {"main.py": b"1\n"})
    assert printed(capsys, "diff", "1", "2", "--code").endswith("code of run 1 and run 2\nthe same\n")


def test_code_that_is_not_stored_is_told_in_a_sentence(capsys):
    with_code(1, {"main.py": b"1\n"})
    run(2, code={"problem": "git is not installed"})
    run(3, code={"state": "0" * 40})
    run(4)
    assert main(["diff", "1", "2", "--code"]) == 1
    assert "the code of run 2 is not stored: git is not installed" in capsys.readouterr().err
    assert main(["diff", "1", "3", "--code"]) == 1
    assert "the code of run 1 or 3 is not whole in" in capsys.readouterr().err
    assert main(["diff", "1", "4", "--code"]) == 1
    assert "it ran with mlxp.capture=false" in capsys.readouterr().err
