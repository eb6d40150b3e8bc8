import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlxp.errors import MLXPError
from mlxp.running.code_state import Extent, capture
from mlxp.running.copies import copy_of

WHO = ("-c", "user.name=me", "-c", "user.email=me@example.org")


def git(directory, *words):
    answer = subprocess.run(["git", *WHO, *words], cwd=directory, capture_output=True, check=True)
    return os.fsdecode(answer.stdout).rstrip("\n")


@pytest.fixture
def repo(tmp_path):
    top = tmp_path / "my repo"
    for name, text in {
        "main.py": "print(1)\n",
        "pkg/model.py": "x = 1\n",
        ".gitignore": "data/\nlogs/\n*.so\n",
    }.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    (top / "data").mkdir()
    (top / "data/train.csv").write_text("1,2")
    (top / "pkg/fast.so").write_text("built")
    git(top, "init", "-q")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "start")
    return top


@pytest.fixture
def store(repo):
    return repo / "logs/.store"


def files(top):
    return {
        path.relative_to(top).as_posix(): path.read_text()
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink() and path.relative_to(top).parts[0] not in (".git", "logs")
    }


def test_copy_holds_the_code_as_it_was(repo, store):
    (repo / "main.py").write_text("print(2)\n")
    (repo / "main.py").chmod(0o755)
    (repo / "new.py").write_text("new")
    state = capture(repo, store)
    (repo / "main.py").write_text("print(3)\n")
    (repo / "pkg/model.py").unlink()
    copy = copy_of(store, state)
    assert files(copy) == {
        ".gitignore": "data/\nlogs/\n*.so\n",
        "main.py": "print(2)\n",
        "new.py": "new",
        "pkg/model.py": "x = 1\n",
    }
    assert os.access(copy / "main.py", os.X_OK)


def test_what_git_ignores_is_reached_by_links(repo, store):
    copy = copy_of(store, capture(repo, store))
    assert (copy / "data/train.csv").read_text() == "1,2"
    assert (copy / "pkg/fast.so").read_text() == "built"


def test_code_is_restored_when_the_repository_is_gone(repo, store, tmp_path):
    state = capture(repo, store)
    shutil.move(store, tmp_path / "store")
    shutil.rmtree(repo)
    assert files(copy_of(tmp_path / "store", state))["main.py"] == "print(1)\n"


def test_git_in_the_copy_tells_of_the_code_as_it_was(repo, store):
    commit = git(repo, "rev-parse", "HEAD")
    (repo / "main.py").write_text("print(2)\n")
    (repo / "new.py").write_text("new")
    state = capture(repo, store)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "later")
    copy = copy_of(store, state)
    assert git(copy, "rev-parse", "HEAD") == commit
    assert git(copy, "diff", "HEAD", "--name-only").splitlines() == ["main.py", "new.py"]


def test_state_of_the_copy_is_the_state(repo, store):
    (repo / "main.py").write_text("print(2)\n")
    state = capture(repo, store, [repo / "logs"])
    copy = copy_of(store, state)
    subprocess.run([sys.executable, "-c", "import pkg.model"], cwd=copy, check=True)
    again = capture(copy, store)
    assert (again.tree, again.commit, again.dirty, again.top) == (state.tree, state.commit, True, copy)


def test_copy_is_made_once(repo, store):
    state = capture(repo, store)
    first = copy_of(store, state)
    times = {path: path.stat().st_ino for path in first.rglob("*.py")}
    assert copy_of(store, state) == first
    assert {path: path.stat().st_ino for path in first.rglob("*.py")} == times
    assert git(first, "rev-parse", "HEAD").strip() == state.commit


def edit(file):
    file.write_text("edited")


@pytest.mark.parametrize("harm", [edit, Path.unlink])
def test_copy_that_was_changed_is_made_anew(repo, store, harm):
    state = capture(repo, store)
    harm(copy_of(store, state) / "main.py")
    assert files(copy_of(store, state))["main.py"] == "print(1)\n"


def test_copies_of_two_places_do_not_mix_their_data(repo, store, tmp_path):
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(repo), str(other))
    (other / "data").mkdir()
    (other / "data/train.csv").write_text("3,4")
    first, second = capture(repo, store), capture(other, store)
    assert first.tree == second.tree
    assert (copy_of(store, first) / "data/train.csv").read_text() == "1,2"
    assert (copy_of(store, second) / "data/train.csv").read_text() == "3,4"


def test_many_that_start_at_once_share_one_copy(repo, store):
    state = capture(repo, store)
    with ThreadPoolExecutor(20) as pool:
        copies = set(pool.map(lambda _: copy_of(store, state), range(50)))
    assert len(copies) == 1
    assert files(copies.pop())["main.py"] == "print(1)\n"
    assert [path.name for path in (store / "copies").iterdir() if path.name.startswith(".")] == []


def test_state_that_is_not_there_is_one_sentence(repo, store):
    state = capture(repo, store)
    shutil.rmtree(store)
    (store / "objects").mkdir(parents=True)
    with pytest.raises(MLXPError, match=f"the code of state {state.tree[:12]} is not in "):
        copy_of(store, state)
    assert not list(Path(store).glob("copies/*"))


def strange_name(top):
    strange = top.with_name('it\'s a "$HOME"; é\n:,repo')
    top.rename(strange)
    for name in ("a b.py", "q\"u'ote.py", "new\nline.py", "é.py", "-x.py", ":(glob)*.py", "$(touch harm).py"):
        (strange / name).write_text(name)
    return strange


def submodule(top):
    inner = top.with_name("inner")
    inner.mkdir()
    (inner / "inside.py").write_text("committed")
    git(inner, "init", "-q")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "inner")
    git(top, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "lib")
    git(top, "commit", "-q", "-m", "with a submodule")
    (top / "lib/inside.py").write_text("edited")
    (top / "lib/new.py").write_text("untracked")
    return top


def detached(top):
    git(top, "checkout", "-q", "--detach")
    (top / "main.py").write_text("print(7)\n")
    return top


def no_commit(top):
    shutil.rmtree(top / ".git")
    git(top, "init", "-q")
    return top


def foreign(top):
    if os.geteuid() != 0:
        pytest.skip("only root can give a repository away; a foreign repository is NOT tested")
    for path in [top, *top.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    return top


def conversions(top):
    (top / ".gitattributes").write_text("*.txt text eol=crlf\n*.bin filter=lfs\n")
    (top / "lines.txt").write_bytes(b"one\r\ntwo\r\n")
    git(top, "add", ".gitattributes", "lines.txt")
    git(top, "commit", "-q", "-m", "lines")
    (top / "weights.bin").write_text("as large as it is")
    return top


@pytest.mark.parametrize("change", [strange_name, submodule, detached, no_commit, foreign, conversions])
def test_copy_has_what_the_program_sees_in_any_repository(repo, change):
    top = change(repo)
    before = {path: path.stat().st_mtime_ns for path in (top / ".git").rglob("*")}
    store = top / "logs/.store"
    state = capture(top, store, [top / "logs"])
    copy = copy_of(store, state, [top / "logs"])

    def content(directory):
        return {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in directory.rglob("*")
            if path.is_file() and not {".git", "logs", "data"} & set(path.relative_to(directory).parts)
        }

    assert content(copy) == content(top)
    assert os.path.realpath(copy / "data") == os.path.realpath(top / "data")
    assert os.path.realpath(copy / "logs") == os.path.realpath(top / "logs")
    assert {path: path.stat().st_mtime_ns for path in (top / ".git").rglob("*")} == before
    assert capture(copy, store, extent=Extent.TRACKED).tree == state.tree
    left = capture(top, store, [top / "logs"], Extent.COMMITTED)
    changed = [*state.changed, *state.untracked]
    assert bool(changed) == (left.tree != state.tree) or change in (submodule, no_commit)


def test_what_nobody_stores_is_reached_by_links_in_submodules_too(repo, store):
    top = submodule(repo)
    (top / "lib/.gitignore").write_text("weights/\n")
    (top / "lib/weights").mkdir()
    (top / "lib/.env").write_text("TOKEN=1")
    copy = copy_of(store, capture(top, store, [top / "logs"]), [top / "logs"])
    assert os.path.realpath(copy / "lib/weights") == str(top / "lib/weights")
    assert os.path.realpath(copy / "lib/.env") == str(top / "lib/.env")


def test_copy_that_others_use_is_mended_in_its_place(repo, store):
    state = capture(repo, store)
    copy = copy_of(store, state)
    there = os.open(copy, os.O_RDONLY)
    edit(copy / "main.py")
    (copy / "result.txt").write_text("of a run")
    assert copy_of(store, state) == copy
    assert os.path.samestat(os.fstat(there), os.stat(copy))
    os.close(there)
    assert (copy / "main.py").read_text() == "print(1)\n"
    assert (copy / "result.txt").read_text() == "of a run"
