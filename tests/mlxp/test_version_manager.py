"""Running from a copy of the code."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from mlxp import GitVM
from mlxp.errors import MLXPError


def git(directory, *arguments):
    command = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(actions):
    """The program, in the folder of a git repository, with one commit."""
    git(actions.directory, "init", "-q")
    (actions.directory / ".gitignore").write_text("logs/\n.work_dir/\nstarted-*\n", encoding="utf-8")
    git(actions.directory, "add", ".")
    git(actions.directory, "commit", "-q", "-m", "start")
    return actions


def test_run_is_executed_from_a_copy_of_the_latest_commit(repository):
    assert repository.run("mlxp.use_version_manager=true").returncode == 0
    info = repository.info()
    commit = git(repository.directory, "rev-parse", "HEAD")
    assert info["work_dir"] == str(repository.directory / ".work_dir/actions" / commit)
    assert info["version_manager"] == {
        "requirements": ["UNKNOWN"],
        "commit_hash": commit,
        "repo_path": str(repository.directory),
    }
    assert Path(info["work_dir"], "main.py").is_file()


def test_copy_is_made_once_per_commit_by_runs_that_start_together(repository):
    started = [repository.start("mlxp.use_version_manager=true", "seed=1,2") for _ in range(3)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    copies = list((repository.directory / ".work_dir/actions").iterdir())
    assert len(copies) == 1
    assert len({repository.info(log_id)["work_dir"] for log_id in repository.log_ids()}) == 1


def test_changes_that_are_not_committed_are_named_and_no_question_is_asked_without_a_terminal(repository):
    (repository.directory / "new.py").touch()
    (repository.directory / "configs/config.yaml").write_text("seed: 1\naction: value\nnumber: 9\n", encoding="utf-8")
    result = repository.run("mlxp.use_version_manager=true", "seed=1,2", stdin=subprocess.DEVNULL)
    assert result.returncode == 0
    assert result.stderr.count("new.py") == result.stderr.count("configs/config.yaml") == 1


def test_questions_are_asked_on_a_terminal(repository):
    (repository.directory / "new.py").touch()
    command = " ".join(repository.command("mlxp.use_version_manager=true"))
    env_git = "GIT_AUTHOR_NAME=me GIT_AUTHOR_EMAIL=me@x GIT_COMMITTER_NAME=me GIT_COMMITTER_EMAIL=me@x"
    result = subprocess.run(
        ["script", "-qec", f"{env_git} {command}", "/dev/null"],
        cwd=repository.directory,
        input="new.py\ny\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Files to add, separated by commas" in result.stdout
    assert "Commit them now? (y/n)" in result.stdout
    assert Path(repository.info()["work_dir"], "new.py").exists()


def test_requirements_are_recorded_on_request(repository):
    repository.run("mlxp.use_version_manager=true", "mlxp.version_manager.compute_requirements=true")
    assert any(line.startswith("hydra-core==") for line in repository.info()["version_manager"]["requirements"])


def test_requirements_of_the_repository_are_taken(repository):
    (repository.directory / "requirements.txt").write_text("numpy==1.0\n", encoding="utf-8")
    git(repository.directory, "add", ".")
    git(repository.directory, "commit", "-q", "-m", "requirements")
    repository.run("mlxp.use_version_manager=true", "mlxp.version_manager.compute_requirements=true")
    assert repository.info()["version_manager"]["requirements"] == ["numpy==1.0"]


def test_code_that_is_in_no_repository_is_one_clear_error(actions):
    result = actions.run("mlxp.use_version_manager=true")
    assert result.returncode == 1
    assert (
        "the version manager GitVM needs a git repository with a commit"
        in result.stderr.splitlines()[0] + result.stderr
    )
    assert not (actions.directory / "logs").exists()


def test_missing_git_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MLXPError, match="needs the program git, which is not installed"):
        GitVM(str(tmp_path)).make_working_directory()


def changed(repository):
    """Change the program, its module and its configuration, without committing that."""
    for name, old, new in (
        ("main.py", 'print("returned", task())', 'print("changed", task())'),
        ("main.py", "import mlxp\n", "import extra\nimport mlxp\n"),
        ("configs/config.yaml", "number: 0", "number: 7"),
    ):
        text = (repository.directory / name).read_text(encoding="utf-8")
        assert old in text
        (repository.directory / name).write_text(text.replace(old, new), encoding="utf-8")
    (repository.directory / "extra.py").write_text("print(__file__)\n", encoding="utf-8")
    return repository


def test_uncommitted_changes_are_part_of_the_copy_and_named(repository):
    result = changed(repository).run("mlxp.use_version_manager=true")
    assert result.stderr == (
        "Untracked files, which are part of the copy of the code:\n"
        "  extra.py\n"
        "Uncommitted changes, which are part of the copy of the code:\n"
        "  configs/config.yaml\n"
        "  main.py\n"
        "mlxp.version_manager.dirty=leave copies the code as it was committed.\n"
    )
    info = repository.info()
    assert result.stdout.splitlines()[-1] == "changed 7"
    assert result.stdout.splitlines()[-2] == f"{info['work_dir']}/extra.py"
    commit = git(repository.directory, "rev-parse", "HEAD")
    assert info["work_dir"].startswith(f"{repository.directory}/.work_dir/actions/{commit}-")
    assert info["version_manager"]["changes"] == ["configs/config.yaml", "extra.py", "main.py"]
    assert (info["git"]["commit"], info["git"]["dirty"]) == (commit, True)


def test_uncommitted_changes_are_left_where_they_are_on_request(repository):
    options = ("mlxp.use_version_manager=true", "mlxp.version_manager.dirty=leave")
    result = changed(repository).run(*options)
    assert result.stderr == (
        "Untracked files, which the copy of the code does not have:\n"
        "  extra.py\n"
        "Uncommitted changes, which the copy of the code does not have:\n"
        "  configs/config.yaml\n"
        "  main.py\n"
        "mlxp.version_manager.dirty=include makes them part of the copy.\n"
    )
    # The script, its modules and its configuration are those of the commit.
    assert result.stdout == f"{repository.directory}/extra.py\nreturned 0\n"  # the first is said before it starts again
    info = repository.info()
    assert info["work_dir"].endswith(f"/.work_dir/actions/{git(repository.directory, 'rev-parse', 'HEAD')}")
    assert (info["git"]["dirty"], info["code_changed"]) == (False, False)
    assert git(info["work_dir"], "status", "--short") == ""


def test_uncommitted_changes_are_refused_on_request(repository):
    options = ("mlxp.use_version_manager=true", "mlxp.version_manager.dirty=refuse")
    assert repository.run(*options).returncode == 0
    result = changed(repository).run(*options)
    assert result.returncode == 1
    assert "differs from its commit: configs/config.yaml, main.py, extra.py; commit that" in result.stderr
    assert repository.log_ids() == [1]


def test_other_wishes_about_changes_are_one_clear_error(repository):
    result = repository.run("mlxp.use_version_manager=true", "mlxp.version_manager.dirty=maybe")
    assert "mlxp.version_manager.dirty is one of include, leave, refuse, not 'maybe'" in result.stderr


def test_what_mlxp_writes_is_not_named_among_the_untracked_files(repository):
    (repository.directory / ".gitignore").write_text("", encoding="utf-8")
    git(repository.directory, "commit", "-q", "-a", "-m", "ignore nothing")
    for parent in ("logs", "deeply/in/logs"):
        repository.run("seed=1,2", f"mlxp.logger.parent_log_dir={parent}")
    assert repository.run("mlxp.use_version_manager=true", "seed=1,2").stderr == ""
    # Not even where some of it is tracked.
    git(repository.directory, "add", "logs/1")
    git(repository.directory, "commit", "-q", "-m", "a run")
    assert repository.run("mlxp.use_version_manager=true").stderr == ""


def test_long_lists_of_untracked_files_are_cut(repository):
    for number in range(142):
        (repository.directory / f"data-{number:03}").touch()
    lines = repository.run("mlxp.use_version_manager=true").stderr.splitlines()
    assert (len(lines), lines[-2]) == (23, "  … and 122 more")


@pytest.mark.parametrize("name", ["data/1/image.png", "results/1/notes.txt", "1/readme.txt", "experiment/main.py"])
def test_users_own_files_are_named_whatever_their_folders_are_called(repository, name):
    file = repository.directory / name
    file.parent.mkdir(parents=True)
    file.touch()
    assert f"  {name.split('/')[0]}/\n" in repository.run("mlxp.use_version_manager=true").stderr


def test_program_starts_again_in_the_copy_however_it_is_started(repository, tmp_path):
    for name in ("main.py", "configs/config.yaml"):
        assert (repository.directory / name).exists()
    (tmp_path / "link").symlink_to(repository.directory)  # as where homes are links to another disk
    ways = [
        (str(tmp_path / "link/main.py"), tmp_path),
        ("main.py", repository.directory),
        ("../main.py", repository.directory / "configs"),
        (str(repository.directory / "main.py"), tmp_path),
    ]
    for number, (program, directory) in enumerate(ways, start=1):
        top = tmp_path / "link" if number == 1 else repository.directory
        result = repository.run("mlxp.use_version_manager=true", program=(program,), cwd=directory)
        assert result.returncode == 0, result.stderr
        info = repository.info(number)
        copy = top / ".work_dir" / top.name / info["version_manager"]["commit_hash"]
        assert os.path.realpath(info["current_file_path"]) == os.path.realpath(copy / "main.py")
        assert info["code"]["copy"] == str(copy)
        inside = {repository.directory: copy, repository.directory / "configs": copy / "configs"}
        assert info["work_dir"] == str(inside.get(directory, tmp_path))


def test_program_that_does_not_come_from_the_copy_is_refused_and_not_started_without_end(repository):
    text = (repository.directory / "main.py").read_text(encoding="utf-8")
    (repository.directory / "tasks.py").write_text(text, encoding="utf-8")
    path = f"import sys\nsys.path.insert(0, {str(repository.directory)!r})\nimport tasks\nprint(tasks.task())\n"
    (repository.directory / "main.py").write_text(path, encoding="utf-8")
    result = repository.run("mlxp.use_version_manager=true")
    assert result.returncode == 1
    assert "tasks.py is not in the copy of the code, in which its program was started again" in result.stderr


def test_program_that_is_called_from_python_says_what_is_not_from_the_copy(repository):
    code = "import main; print(main.task.run(['mlxp.use_version_manager=true']))"
    result = repository.run(program=("-c", code))
    assert result.returncode == 0, result.stderr
    said = "The program continues with what it has read here: its configuration and the modules it has imported.\n"
    assert result.stderr.endswith(said)
    assert ".work_dir" in repository.info()["work_dir"]


# What `pip install -e` leaves in an environment: a path, or a finder that knows where each module is.
FINDER = """
import importlib.util, sys

class Finder:
    def find_spec(name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, {file!r}) if name == "things" else None

sys.meta_path.append(Finder)
"""


@pytest.fixture(params=["path", "finder"])
def installed(repository, tmp_path, request):
    """The Python of an environment in which the repository is installed for editing."""
    source = repository.directory / "src"
    source.mkdir()
    (source / "things.py").touch()
    main = repository.directory / "main.py"
    main.write_text("import things\nprint(things.__file__)\n" + main.read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    here = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "finder.py").write_text(FINDER.format(file=str(source / "things.py")), encoding="utf-8")
    found_by = {"path": source, "finder": "import finder"}[request.param]
    (site / "here.pth").write_text(f"{here}\n{found_by}\n", encoding="utf-8")
    return request.param, str(tmp_path / "venv/bin/python")


@pytest.mark.parametrize("option", ["", "-E", "-I"])
def test_editable_install_leads_into_the_copy_or_is_refused(repository, installed, option):
    kind, python = installed
    words = [python, *filter(None, [option]), "main.py", "mlxp.use_version_manager=true"]
    result = subprocess.run(words, cwd=repository.directory, capture_output=True, text=True, timeout=120, check=False)
    if kind == "path" and not option:
        assert result.returncode == 0, result.stderr
        assert f"{repository.info()['code']['copy']}/src/things.py" in result.stdout.splitlines()
    else:
        assert result.returncode == 1
        assert "these modules come from" in result.stderr
        assert "things; install the project in another way, or start Python without -I and -E" in result.stderr
