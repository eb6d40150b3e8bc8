import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mlxp.running.code_state import LARGEST_FILE, capture, not_stored
from mlxp.running.copies import copy_of
from mlxp.running.private_git import GitError

WHO = ("-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "protocol.file.allow=always")


def git(directory, *words):
    answer = subprocess.run(["git", *WHO, *words], cwd=directory, capture_output=True, check=True)
    return os.fsdecode(answer.stdout).strip()


def repository(top, files, *, commits=True):
    top.mkdir(parents=True)
    git(top, "init", "-q", "-b", "main")
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content.encode())
    if commits:
        git(top, "add", "-A")
        git(top, "commit", "-q", "-m", "start")
    return top


@pytest.fixture
def repo(tmp_path):
    return repository(tmp_path / "repo", {"main.py": "print(1)\n", "pkg/model.py": "x = 1\n", ".gitignore": "data/\n"})


@pytest.fixture
def store(tmp_path):
    return tmp_path / "logs" / ".code"


def content(store, tree):
    """Return the files of a stored tree, read without the repository that they came from."""
    env = {**os.environ, "GIT_DIR": str(store / "alone"), "GIT_OBJECT_DIRECTORY": str(store / "objects")}
    (store / "alone" / "refs").mkdir(parents=True, exist_ok=True)
    (store / "alone" / "objects").mkdir(exist_ok=True)
    (store / "alone" / "HEAD").write_text("ref: refs/heads/x\n")

    def ask(*words):
        return subprocess.run(["git", *words], env=env, capture_output=True, check=True).stdout

    names = [line.split(b"\t", 1) for line in ask("ls-tree", "-r", "-z", tree).split(b"\0") if line]
    return {os.fsdecode(name): ask("cat-file", "blob", entry.split()[2].decode()).decode() for entry, name in names}


def everything(directory):
    """Return content and time of each file; git renews the times of objects that are asked for, so that they stay."""
    return {
        path.relative_to(directory): (
            "objects" in path.parts or path.lstat().st_mtime_ns,
            path.is_file() and path.read_bytes(),
        )
        for path in directory.rglob("*")
    }


def test_clean_state_is_the_tree_of_its_commit(repo, store):
    state = capture(repo, store)
    assert (state.tree, state.commit) == (git(repo, "rev-parse", "HEAD^{tree}"), git(repo, "rev-parse", "HEAD"))
    assert (state.branch, state.dirty, state.left_out) == ("main", False, ())


def test_state_is_found_from_a_folder_inside(repo, store):
    assert capture(repo / "pkg", store) == capture(repo, store)


def test_changed_staged_removed_and_untracked_files_are_part_of_it_and_ignored_ones_are_not(repo, store):
    (repo / "main.py").write_text("print(2)\n")
    (repo / "staged.py").write_text("")
    git(repo, "add", "staged.py")
    (repo / "pkg/model.py").unlink()
    (repo / "new.py").write_text("new")
    (repo / "data").mkdir()
    (repo / "data/big").write_text("ignored")
    state = capture(repo, store)
    assert state.dirty
    expected = {".gitignore": "data/\n", "main.py": "print(2)\n", "staged.py": "", "new.py": "new"}
    assert content(store, state.tree) == expected


def test_untracked_files_alone_do_not_make_it_dirty(repo, store):
    (repo / "new.py").write_text("new")
    assert not capture(repo, store).dirty


def test_state_can_be_read_when_the_repository_is_gone(repo, store):
    first = capture(repo, store)
    (repo / "main.py").write_text("print(2)\n")
    second = capture(repo, store)
    shutil.rmtree(repo)
    assert content(store, first.tree)["main.py"] == "print(1)\n"
    assert content(store, second.tree)["main.py"] == "print(2)\n"


def test_nothing_of_the_repository_is_executed_or_written(repo, store, tmp_path):
    marker = tmp_path / "executed"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho \"$0 $@\" >> '{marker}'\ncat\n")
    program.chmod(0o755)
    (repo / ".gitattributes").write_text("*.py filter=mine diff=mine\n")
    for name in (
        "core.fsmonitor",
        "filter.mine.clean",
        "filter.mine.smudge",
        "filter.mine.process",
        "diff.mine.command",
    ):
        git(repo, "config", name, str(program))
    for hook in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction"):
        (repo / ".git/hooks").mkdir(exist_ok=True)
        shutil.copy(program, repo / ".git/hooks" / hook)
    os.utime(repo / "main.py", (1, 1))
    before = everything(repo)
    capture(repo, store)
    assert everything(repo) == before
    assert not marker.exists()


def test_objects_that_have_files_are_linked_and_others_are_packed(repo, store, monkeypatch):
    tree = capture(repo, store).tree
    name = f"{tree[:2]}/{tree[2:]}"
    assert (store / "objects" / name).samefile(repo / ".git/objects" / name)
    assert not list(store.glob("objects/pack/*"))
    git(repo, "gc", "-q")
    capture(repo, store.parent / "second")
    assert list(store.parent.glob("second/objects/pack/*.pack"))
    shutil.rmtree(repo)
    assert content(store, tree) == content(store.parent / "second", tree)


def test_objects_on_another_disk_are_packed(repo, store, monkeypatch):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    tree = capture(repo, store).tree
    shutil.rmtree(repo)
    assert content(store, tree)["main.py"] == "print(1)\n"


def test_what_git_only_intends_to_track_and_a_folder_that_became_a_link_are_taken_as_they_are(repo, store, tmp_path):
    (repo / "planned.py").write_text("1")
    git(repo, "add", "-N", "planned.py")
    shutil.move(repo / "pkg", tmp_path / "elsewhere")
    (repo / "pkg").symlink_to(tmp_path / "elsewhere")
    state = capture(repo, store)
    assert state.dirty
    stored = content(store, state.tree)
    assert (stored["planned.py"], stored["pkg"]) == ("1", str(tmp_path / "elsewhere"))
    assert "pkg/model.py" not in stored


def test_folder_that_became_an_ignored_link_is_taken_as_it_is(repo, store, tmp_path):
    shutil.move(repo / "pkg", tmp_path / "elsewhere")
    (tmp_path / "elsewhere/model.py").write_text("x = 2\n")
    (repo / "pkg").symlink_to(tmp_path / "elsewhere")
    (repo / ".gitignore").write_text("data/\npkg\n")
    (repo / "main.py").write_text("print(5)\n")
    state = capture(repo, store)
    assert (state.dirty, content(store, state.tree)["main.py"]) == (True, "print(5)\n")
    assert content(store, state.tree).get("pkg/model.py") != "x = 1\n"


def test_files_outside_of_a_sparse_checkout_stay_in_the_tree_and_do_not_make_it_dirty(repo, store):
    (repo / ".gitattributes").write_text("*.py text\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "attributes")
    git(repo, "sparse-checkout", "set", "--no-cone", "/main.py", "/.gitattributes")
    assert not (repo / "pkg/model.py").exists()
    state = capture(repo, store)
    assert (state.dirty, state.tree) == (False, git(repo, "rev-parse", "HEAD^{tree}"))


def test_settings_of_the_user_count_but_nothing_of_them_is_executed(repo, store, tmp_path, monkeypatch):
    marker = tmp_path / "executed"
    (tmp_path / "ignored").write_text("*.tmp\n")
    (tmp_path / "attributes").write_text("*.py filter=mine\n")
    (tmp_path / "config").write_text(
        f"[core]\nexcludesFile = {tmp_path}/ignored\nattributesFile = {tmp_path}/attributes\nautocrlf = true\n"
        f'fsmonitor = touch {marker}\n[filter "mine"]\nclean = touch {marker}; cat\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    (repo / "x.tmp").write_text("")
    (repo / "dos.txt").write_bytes(b"1\r\n")
    git(repo, "-c", "core.fsmonitor=false", "-c", "filter.mine.clean=cat", "add", "dos.txt")
    (repo / "main.py").write_text("print(8)\r\n")
    marker.unlink(missing_ok=True)
    stored = content(store, capture(repo, store).tree)
    assert (stored["dos.txt"], stored["main.py"], "x.tmp" in stored) == ("1\r\n", "print(8)\r\n", False)
    assert not marker.exists()


def test_file_that_git_is_told_to_take_for_unchanged_is_looked_at(repo, store):
    git(repo, "update-index", "--assume-unchanged", "main.py")
    git(repo, "update-index", "--skip-worktree", "pkg/model.py")
    (repo / "main.py").write_text("print(3)\n")
    (repo / "pkg/model.py").write_text("x = 3\n")
    state = capture(repo, store)
    assert state.dirty
    assert content(store, state.tree)["main.py"] == "print(3)\n"
    assert content(store, state.tree)["pkg/model.py"] == "x = 3\n"


def test_repository_without_a_commit_has_a_state(tmp_path, store):
    state = capture(repository(tmp_path / "new", {"main.py": "1"}, commits=False), store)
    assert (state.commit, content(store, state.tree)) == (None, {"main.py": "1"})


def test_detached_head_has_no_branch(repo, store):
    git(repo, "checkout", "-q", "--detach")
    state = capture(repo, store)
    assert (state.branch, state.commit) == (None, git(repo, "rev-parse", "HEAD"))


def test_linked_work_tree_is_a_repository(repo, store, tmp_path):
    git(repo, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side/main.py").write_text("print('side')\n")
    state = capture(tmp_path / "side", store)
    assert (state.branch, state.dirty, state.top) == ("side", True, tmp_path / "side")
    assert content(store, state.tree)["main.py"] == "print('side')\n"


@pytest.mark.parametrize("commits", [True, False], ids=["with a commit", "without one"])
def test_untracked_repository_inside_is_part_of_it(repo, store, commits):
    repository(repo / "inner", {"a.py": "a"}, commits=commits)
    state = capture(repo, store)
    assert content(store, state.tree)["inner/a.py"] == "a"


def test_edited_submodule_is_part_of_it(repo, store, tmp_path):
    other = repository(tmp_path / "other", {"lib.py": "1"})
    git(repo, "submodule", "--quiet", "add", str(other), "lib")
    git(repo, "commit", "-q", "-m", "with a submodule")
    assert not capture(repo, store).dirty
    (repo / "lib/lib.py").write_text("2")
    (repo / "lib/new.py").write_text("3")
    state = capture(repo, store)
    assert state.dirty
    assert {"lib/lib.py": "2", "lib/new.py": "3"}.items() <= content(store, state.tree).items()


def test_submodule_that_is_not_there_is_passed_over(repo, store, tmp_path):
    other = repository(tmp_path / "other", {"lib.py": "1"})
    git(repo, "submodule", "--quiet", "add", str(other), "lib")
    git(repo, "commit", "-q", "-m", "with a submodule")
    git(tmp_path, "clone", "-q", str(repo), "clone")
    assert not capture(tmp_path / "clone", store).dirty


@pytest.mark.parametrize(
    "name", ["a b.py", "quo'te\".py", "tab\tin.py", "line\nbreak.py", "größe.py", "-n.py", ":(x).py", "#h"]
)
def test_names_are_taken_as_they_are(repo, store, name):
    (repo / name).write_text("text")
    git(repo, "add", "--", f":(literal){name}")
    (repo / f"untracked {name}").write_text("more")
    state = capture(repo, store)
    assert {name: "text", f"untracked {name}": "more"}.items() <= content(store, state.tree).items()


@pytest.mark.parametrize("name", ["with space", "co:lon", 'quo"te', "line\nbreak", "größe", "$HOME", "#a[b]*"])
def test_paths_of_repositories_are_taken_as_they_are(tmp_path, name):
    top = repository(tmp_path / name / "repo", {"main.py": "1"})
    (top / "main.py").write_text("2")
    state = capture(top, top / "logs/.code", [top / "logs"])
    assert content(top / "logs/.code", state.tree) == {"main.py": "2"}


def test_what_runs_write_does_not_change_the_state(repo):
    logs = repo / "lo gs#[1]"
    first = capture(repo, logs / ".code", [logs])
    (logs / "1").mkdir()
    (logs / "1/info.yaml").write_text("status: COMPLETE")
    (repo / "pkg/__pycache__").mkdir()
    (repo / "pkg/__pycache__/model.cpython-311.pyc").write_bytes(b"0")
    assert capture(repo, logs / ".code", [logs]) == first


def test_large_untracked_file_is_named_and_left_out(repo, store):
    (repo / "weights.bin").write_bytes(b"0" * (LARGEST_FILE + 1))
    state = capture(repo, store)
    assert state.left_out == ("weights.bin",)
    assert "weights.bin" not in content(store, state.tree)


@pytest.mark.parametrize("name", [".env", ".env.local", "id_rsa", "server.pem", ".netrc"])
def test_file_whose_name_says_that_it_is_private_is_named_and_left_out(repo, store, name):
    (repo / name).write_text("x")
    assert capture(repo, store).left_out == (name,)


def test_file_that_holds_a_secret_is_named_and_left_out(repo, store):
    (repo / "notes.txt").write_text("my token is " + "hf_" + "a1B2" * 9)
    (repo / "secrets.py").write_text("MASK = '<masked>'")
    state = capture(repo, store)
    assert state.left_out == ("notes.txt",)
    assert "secrets.py" in content(store, state.tree)


def test_largest_of_many_untracked_files_are_left_out(repo, store):
    for number in range(15):
        (repo / f"{number:02}.bin").write_bytes(os.urandom(1000) + bytes(4_000_000 + number))
    assert capture(repo, store).left_out == ("12.bin", "13.bin", "14.bin")


def test_file_that_cannot_be_read_is_named(repo, store, monkeypatch):
    (repo / "secret").write_text("x")
    (repo / "main.py").write_text("edited")
    may_read = os.access
    closed = {"secret", "main.py"}
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name not in closed and may_read(path, mode))
    assert capture(repo, store).left_out == ("main.py", "secret")


def test_fifo_and_dangling_link_stop_nothing(repo, store):
    os.mkfifo(repo / "fifo")
    (repo / "link").symlink_to("nowhere")
    assert content(store, capture(repo, store).tree)["link"] == "nowhere"


def test_converted_content_is_stored_as_the_program_reads_it(repo, store):
    (repo / ".gitattributes").write_text("* text=auto\n*.bat eol=crlf\n*.bin filter=lfs\n*.id ident\n")
    (repo / "a.bat").write_bytes(b"1\r\n2\r\n")
    (repo / "b.txt").write_bytes(b"1\r\n")
    (repo / "v.id").write_bytes(b"$Id$\n")
    git(repo, "-c", "core.safecrlf=false", "add", "-A")
    git(repo, "commit", "-q", "-m", "attributes")
    state = capture(repo, store)
    assert not state.dirty
    stored = content(store, state.tree)
    assert (stored["a.bat"], stored["b.txt"], stored["v.id"]) == ("1\r\n2\r\n", "1\r\n", "$Id$\n")
    for path in repo.glob("*.*"):
        path.touch()
    assert capture(repo, store).tree == state.tree


def test_program_outside_of_git_has_a_state(tmp_path, store):
    program = tmp_path / "program"
    program.mkdir()
    (program / "main.py").write_text("1")
    state = capture(program, store)
    assert (state.top, state.commit, content(store, state.tree)) == (program, None, {"main.py": "1"})


def test_directory_outside_of_git_that_holds_too_much_is_an_error(tmp_path, store):
    for number in range(2001):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(GitError, match="more than 2000 files"):
        capture(tmp_path, store)


def test_repository_of_sha256_is_understood(tmp_path, store):
    top = tmp_path / "repo"
    top.mkdir()
    git(top, "init", "-q", "--object-format=sha256")
    (top / "main.py").write_text("1")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "start")
    assert capture(top, store).tree == git(top, "rev-parse", "HEAD^{tree}")


def test_without_git_the_error_says_so(repo, store, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(store)))
    with pytest.raises(GitError, match=r"cannot run .git .*No such file"):
        capture(repo, store)


def test_what_runs_have_written_is_no_code_wherever_it_lies(repo, store):
    """Other directories of runs, of MLXP 1, too, and copies of the code, which hold the code once more."""
    before = capture(repo, store)
    for name in ("old/3/metadata/info.yaml", "old/3/metrics/train.json", "deep/er/logs/.ids/3", "7/metadata/info.yaml"):
        (repo / name).parent.mkdir(parents=True)
        (repo / name).write_text("x\n", encoding="utf-8")
    copy = copy_of(
        repo / ".work_dir/.store", capture(repo, repo / ".work_dir/.store"), [], repo / ".work_dir/repo/c0ffee"
    )
    assert (copy / "main.py").exists()
    assert capture(repo, store) == before
    assert not_stored(repo, store) == [".work_dir", "7", "deep", "old"]
    (repo / "old/notes.py").write_text("x = 1\n", encoding="utf-8")
    (repo / "4.py").write_text("x = 1\n", encoding="utf-8")
    assert capture(repo, store).untracked == ("4.py", "old/notes.py")
