"""``mlxp gc``: what no run needs goes, and nothing else, whatever starts meanwhile."""

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from mlxp.commands.main import main
from mlxp.errors import MLXPError
from mlxp.reproduction.garbage import collect
from mlxp.reproduction.store import missing_states
from mlxp.running.code_state import capture
from mlxp.running.store_use import adding_to, removing_from

OLD = 1_700_000_000
STORE = Path("logs/.store")


@pytest.fixture(autouse=True)
def logs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def state_of(text, code="code"):
    Path(code).mkdir(exist_ok=True)
    Path(code, "main.py").write_text(text, encoding="utf-8")
    return capture(Path(code).absolute(), STORE.absolute()).tree


def run(log_id, **info):
    folder = Path("logs", str(log_id), "metadata")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "info.yaml").write_text(yaml.safe_dump({"status": "COMPLETE", **info}), encoding="utf-8")


def copy(name):
    (STORE / "copies" / name).mkdir(parents=True)
    (STORE / "copies" / name / "main.py").write_text("x" * 1000, encoding="utf-8")


def age():
    for path in [STORE, *STORE.rglob("*")]:
        os.utime(path, (OLD, OLD))


def copies():
    return sorted(os.listdir(STORE / "copies"))


def states():
    return sorted(os.listdir(STORE / "trees"))


def test_what_no_run_names_is_removed_and_what_one_names_stays(capsys):
    used, unused = state_of("used\n" * 1000), state_of("unused\n" * 1000)
    run(1, code={"state": used, "copy": f"/home/me/logs/.store/copies/{used[:20]}-00000001"})
    for name in (f"{used[:20]}-00000001", f"{used[:20]}-00000002", f"{unused[:20]}-00000001"):
        copy(name)
    for name in ("a" * 20, "b" * 20):
        (STORE / "environments").mkdir(exist_ok=True)
        (STORE / f"environments/{name}.yaml").write_text("packages: []\n", encoding="utf-8")
    run(2, environment={"packages": "a" * 20})
    age()
    before = sorted(STORE.rglob("*"))
    assert main(["gc", "--dry-run"]) == 0
    assert "would be removed: 2 copies, 1 state of the code, 1 list of packages; 0.0 MB" in capsys.readouterr().out
    assert sorted(STORE.rglob("*")) == before
    assert main(["gc"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(
        "removed: 2 copies, 1 state of the code, 1 list of packages; 0.0 MB\nleft: 1 state of the code"
    )
    assert (copies(), states()) == ([f"{used[:20]}-00000001"], [used])
    assert os.listdir(STORE / "environments") == [f"{'a' * 20}.yaml"]
    assert missing_states(STORE, [used, unused]) == [unused]
    main(["gc"])
    assert capsys.readouterr().out.startswith("removed: nothing; 0.0 MB")


@pytest.mark.parametrize("place", ["submission.yaml", "config.yaml.1", "claims/1.yaml"])
def test_whatever_file_about_a_run_names_it_it_stays(place):
    state = state_of("x = 1\n")
    run(1)
    Path("logs/1/metadata", place).parent.mkdir(exist_ok=True)
    Path("logs/1/metadata", place).write_text(f"anything: [{state}]\n", encoding="utf-8")
    age()
    assert collect(Path("logs")).states == []


def test_state_that_a_copy_in_use_was_made_from_stays():
    state = state_of("x = 1\n")
    copy(f"{state[:20]}-00000001")
    run(1)
    Path("logs/1/script.sh").write_text(f"cd logs/.store/copies/{state[:20]}-00000001\n", encoding="utf-8")
    age()
    collect(Path("logs"))
    assert (copies(), states()) == ([f"{state[:20]}-00000001"], [state])


def test_what_is_new_stays(capsys):
    state_of("x = 1\n")
    copy("a" * 20 + "-00000001")
    main(["gc"])
    assert "removed: nothing" in (told := capsys.readouterr().out)
    assert "2 that no run needs are too new to remove, and may be in use" in told


def test_state_that_is_wanted_again_counts_as_new():
    state = state_of("x = 1\n")
    age()
    assert state_of("x = 1\n") == state
    assert collect(Path("logs")).states == []


def test_nothing_is_removed_while_a_run_is_starting():
    state_of("x = 1\n")
    age()
    Path("logs/7/metadata").mkdir(parents=True)
    with pytest.raises(MLXPError, match="run 7 is starting"):
        collect(Path("logs"))
    run(7, status="STARTING")
    with pytest.raises(MLXPError, match="run 7 is starting"):
        collect(Path("logs"))
    run(7, status="RUNNING", code=None)
    assert len(collect(Path("logs")).states) == 1


def test_state_stays_whole_when_those_that_it_was_compared_with_go():
    """The store holds a state as a difference from others, which may be removed."""
    for name in ("a", "b", "c"):
        Path("code").mkdir(exist_ok=True)
        Path("code", f"{name}.py").write_text(name * 1000, encoding="utf-8")
    first, last = state_of("first\n"), state_of("last\n")
    run(1, code={"state": last})
    age()
    collect(Path("logs"))
    assert states() == [last]
    assert missing_states(STORE, [last]) == []
    assert missing_states(STORE, [first]) == [first]


def git_in_code(*words):
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words]
    return subprocess.run(git, cwd="code", check=True, capture_output=True, text=True).stdout.strip()


def committed(text):
    Path("code").mkdir(exist_ok=True)
    Path("code/main.py").write_text(text, encoding="utf-8")
    git_in_code("init", "-q")
    git_in_code("add", ".")
    git_in_code("commit", "-q", "-m", "a step")
    return git_in_code("rev-parse", "HEAD")


def kind_in_store(name):
    subprocess.run(["git", "init", "-q", "--bare", "reading"], check=True)
    Path("reading/objects/info/alternates").write_text(f"{STORE.absolute()}/objects\n", encoding="utf-8")
    read = ["git", "--git-dir", "reading", "cat-file", "-t", name]
    return subprocess.run(read, check=False, capture_output=True, text=True).stdout.strip()


def test_commit_of_a_run_stays():
    commit = committed("1\n")
    other, state = state_of("2\n"), state_of("3\n")
    run(1, code={"state": state}, git={"commit": commit})
    age()
    shutil.rmtree("code")
    collect(Path("logs"))
    assert states() == [state]
    assert other not in states()
    assert kind_in_store(commit) == "commit"


def test_state_that_was_committed_later_is_kept_with_that_commit():
    committed("1\n")
    edited = state_of("2\n")
    commit = committed("2\n")
    assert state_of("2\n") == edited
    assert kind_in_store(commit) == "commit"


def test_what_is_removed_is_stored_again_with_the_next_state_that_needs_it():
    """A state remembers that the files of its commit are stored; they may go while it stays."""
    Path("code").mkdir()
    Path("code/large.bin").write_bytes(random.Random(0).randbytes(1_500_000))
    first = committed("1\n")
    Path("code/large.bin").unlink()
    edited = state_of("1\n")
    last = committed("1\n")
    assert state_of("1\n") == edited
    run(1, code={"state": edited}, git={"commit": last})
    age()
    before = STORE / "trees" / edited
    assert first in before.read_text(encoding="utf-8")
    assert collect(Path("logs")).object_bytes > 0
    assert (before.read_text(encoding="utf-8").split(), before.stat().st_mtime) == (sorted([last, edited]), OLD)
    git_in_code("checkout", "-q", first)
    state = state_of("new\n")
    shutil.rmtree("code")
    assert missing_states(STORE, [state, edited]) == []


def test_who_adds_and_who_removes_wait_for_each_other():
    STORE.mkdir(parents=True)
    order = []

    def remove():
        with removing_from(STORE):
            order.append("remove")
            time.sleep(0.3)
            order.append("removed")

    with adding_to(STORE):
        thread = threading.Thread(target=remove)
        thread.start()
        time.sleep(0.3)
        order.append("added")
    while "remove" not in order:
        time.sleep(0.01)
    with adding_to(STORE):
        order.append("add")
    thread.join()
    assert order == ["added", "remove", "removed", "add"]
    assert os.listdir(STORE / "users") == []


def test_mark_of_a_process_that_died_does_not_stop_anybody():
    (STORE / "users").mkdir(parents=True)
    (STORE / "users/dead").touch()
    os.utime(STORE / "users/dead", (OLD, OLD))
    with removing_from(STORE):
        pass


def test_many_states_stored_while_others_are_removed_are_whole():
    code = """
import sys
from pathlib import Path
from mlxp.running.code_state import capture
for number in range(4):
    folder = Path(f"code-{sys.argv[1]}"); folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(f"{sys.argv[1]} {number}")
    print(capture(folder.absolute(), Path("logs/.store").absolute()).tree)
"""
    for number in range(3):
        state_of(f"{number}\n")
    age()
    words = [sys.executable, "-c", code]
    several = [subprocess.Popen([*words, str(one)], stdout=subprocess.PIPE, text=True) for one in range(2)]
    while any(one.poll() is None for one in several):
        collect(Path("logs"))
        time.sleep(0.05)
    stored = "".join(one.communicate()[0] for one in several).split()
    assert len(stored) == 8
    assert missing_states(STORE, stored) == []


def test_directory_without_a_store_has_nothing_to_remove(capsys):
    assert main(["gc"]) == 0
    assert main(["gc", "--logs", "nowhere"]) == 1
    assert "there is no directory nowhere" in capsys.readouterr().err
