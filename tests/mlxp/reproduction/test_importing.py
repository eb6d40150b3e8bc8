"""``mlxp import``: the runs of an archive in another log directory, each once."""

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import mlxp
from mlxp.commands.main import main

MAIN = """\
import mlxp


@mlxp.launch(config_path="configs")
def task(ctx: mlxp.Context) -> None:
    if ctx.config.start:
        ctx.logger.load_checkpoint(root=ctx.config.start)
    ctx.logger.log_metrics({"loss": ctx.config.lr}, "train")
    ctx.logger.log_checkpoint({"lr": ctx.config.lr})


if __name__ == "__main__":
    task()
"""
MLXP = "import sys; from mlxp.commands.main import main; sys.exit(main())"


def call(*words, cwd):
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with three runs: the second started from the first, and the third does the second again."""
    top = tmp_path_factory.mktemp("home")
    (top / "configs").mkdir()
    (top / "configs/config.yaml").write_text("lr: 0.5\nstart: null\n", encoding="utf-8")
    (top / "main.py").write_text(MAIN, encoding="utf-8")
    call(sys.executable, "main.py", cwd=top)
    call(sys.executable, "main.py", f"start={top}/logs/1", "lr=0.25", cwd=top)
    call(sys.executable, "-c", MLXP, "rerun", "2", cwd=top)
    return top


@pytest.fixture
def away(home, tmp_path, monkeypatch):
    """Another folder, with an archive of these runs and a log directory that has two runs of its own."""
    for log_id in ("1", "2"):
        shutil.copytree(home / "logs" / log_id, tmp_path / "logs" / log_id)
        file = tmp_path / "logs" / log_id / "metadata/info.yaml"
        write(file, {**yaml.safe_load(file.read_text(encoding="utf-8")), "started_at": "2020-01-01T00:00:00+00:00"})
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--logs", str(home / "logs"), "3", "s.zip"]) == 0
    return tmp_path


def write(file, content):
    file.write_text(yaml.safe_dump(content), encoding="utf-8")


def info(log_id, logs="logs"):
    return yaml.safe_load(Path(logs, str(log_id), "metadata/info.yaml").read_text(encoding="utf-8"))


def files(folder="logs"):
    skipped = {".mlxp", "importing"}
    return {
        path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file() and not skipped & set(path.parts)
    }


def test_runs_get_new_ids_and_keep_their_relations(away, capsys):
    assert main(["import", "s.zip", "logs"]) == 0
    assert "3 runs added to logs: 1 as 3, 2 as 4, 3 as 5" in capsys.readouterr().out
    assert (info(4)["parents"], info(5)["parents"], info(5)["rerun_of"]) == (["../3"], ["../3"], 4)
    assert info(5)["logger"]["log_dir"] == "logs/5"
    assert info(5)["origin"] | {"run": ""} == {"run": "", "log_id": 3, "archive": "s.zip"}
    runs = mlxp.Reader("logs").filter()
    assert runs["info.logger.log_id"].tolist() == [1, 2, 3, 4, 5]
    assert runs["train.loss"].metric.last().tolist() == [0.5, 0.25, 0.5, 0.25, 0.25]
    assert runs["artifact.pickle."][2]["checkpoint.pkl"].load() == {"lr": 0.5}


def test_second_import_adds_only_what_is_new(away, home, capsys):
    main(["import", "s.zip", "logs"])
    before = files()
    assert main(["import", "s.zip", "logs"]) == 0
    assert files() == before
    assert "0 runs added to logs\n3 there before: 1 as 3, 2 as 4, 3 as 5" in capsys.readouterr().out
    # A run that was removed since is new again.
    shutil.rmtree("logs/4")
    main(["import", "s.zip", "logs"])
    assert "1 run added to logs: 2 as 6\n2 there before: 1 as 3, 3 as 5" in capsys.readouterr().out


def test_run_that_comes_home_is_known(away, home, capsys):
    main(["import", "s.zip", "logs"])
    main(["export", "5", "back.zip"])
    shutil.copytree(home / "logs", "home", symlinks=True)
    capsys.readouterr()
    main(["import", "back.zip", "home"])
    assert "0 runs added to home\n3 there before: 3 as 1, 4 as 2, 5 as 3" in capsys.readouterr().out


def test_known_run_that_has_changed_is_told_and_left(away, home, capsys):
    main(["import", "s.zip", "logs"])
    shutil.copytree(home / "logs", "home", symlinks=True)
    write(Path("home/1/metadata/info.yaml"), {**info(1, "home"), "note": "checked"})
    main(["export", "--logs", "home", "1", "2", "again.zip"])
    before = files()
    assert main(["import", "again.zip", "logs"]) == 0
    assert "run 1 has changed since it was added as 3, which is left as it is" in capsys.readouterr().err
    assert files() == before


def test_imported_run_is_done_again_from_the_run_that_it_started_from(away):
    main(["import", "s.zip", "logs"])
    assert info(4)["overrides"] == ["start=<logs>/3", "lr=0.25"]
    assert "start: <logs>/3" in Path("logs/4/metadata/config.yaml").read_text(encoding="utf-8")
    done = call(sys.executable, "-c", MLXP, "rerun", "4", "--check", cwd=away)
    assert "run 6 reproduces run 4: 1 of 1 metrics are the same" in done.stdout
    assert info(6)["parents"] == ["../3"]


def test_nothing_that_acts_on_a_job_is_imported(away):
    shutil.copytree("logs", "theirs/logs")
    told = {"status": "SUBMITTED", "scheduler": "SLURM", "scheduler_job_id": "7", "attempt": 1}
    heard = {"phase": "ENDED", "reason": "TIMEOUT", "words": "TIMEOUT", "begun": 1}
    write(Path("theirs/logs/1/metadata/submission.yaml"), {**told, "verdict": heard})
    write(Path("theirs/logs/1/metadata/info.yaml"), {**info(1), "status": "RUNNING", "exit": None})
    write(Path("theirs/logs/2/metadata/info.yaml"), {**info(2), "status": "RUNNING", "exit": None})
    Path("theirs/logs/2/metadata/claims").mkdir()
    Path("theirs/logs/2/metadata/claims/1.yaml").write_text("token: x\n", encoding="utf-8")
    shutil.make_archive("plain", "zip", "theirs", "logs")
    assert main(["import", "plain.zip", "new"]) == 0
    assert (info(1, "new")["status"], info(1, "new")["exit"]["reason"]) == ("KILLED", "TIMEOUT")
    assert info(2, "new")["status"] == "LOST"
    assert sorted(os.listdir("new/1/metadata")) == ["config.yaml", "info.yaml", "mlxp.yaml"]
    assert sorted(os.listdir("new/2/metadata")) == ["config.yaml", "info.yaml", "mlxp.yaml"]


def test_copies_of_code_in_a_zipped_log_directory_are_left_out(away, home):
    """They have links to the data of whoever made them, and can be made again."""
    shutil.make_archive("plain", "zip", home, "logs/1")
    link = zipfile.ZipInfo("logs/.store/copies/x/data")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile("plain.zip", "a") as file:
        file.writestr(link, "/home/me/data")
        file.writestr("logs/.store/copies/x/main.py", "1")
    assert main(["import", "plain.zip", "new"]) == 0
    assert not Path("new/.store/copies").exists()


def rewritten(source, target, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)


def test_code_under_a_false_address_does_not_get_into_the_store(away, home, capsys):
    """Else an archive could replace the code of runs that are here, or keep it from being stored."""
    state = info(1, home / "logs")["code"]["state"]
    false = state[:-4] + "beef"
    rewritten("s.zip", "evil.zip", lambda name, content: content.replace(state.encode(), false.encode()))
    with zipfile.ZipFile("evil.zip", "a") as file:
        file.writestr(f"logs/.store/trees/{false}", b"")
    assert main(["import", "evil.zip", "new"]) == 1
    assert "not added: the code of state " in capsys.readouterr().err
    assert not list(Path("new/.store/trees").glob("*beef"))


def test_false_index_of_a_pack_is_not_believed(away, home, capsys):
    blob = call("git", "hash-object", "main.py", cwd=home).stdout.strip()
    other = call("git", "hash-object", "configs/config.yaml", cwd=home).stdout.strip()
    low, high = sorted([bytes.fromhex(blob), bytes.fromhex(other)])

    def change(entry, content):
        if not entry.endswith(".idx"):
            return content
        # The two addresses change places, so that each stands for the content of the other.
        return content.replace(low, b"\0" * 20).replace(high, low).replace(b"\0" * 20, high)

    rewritten("s.zip", "evil.zip", change)
    assert main(["import", "evil.zip", "new"]) == 1
    assert "not added: the code of state " in capsys.readouterr().err
    assert not list(Path("new/.store/trees").iterdir())


@pytest.mark.parametrize("kind", ["up", "link", "text"])
def test_hostile_or_strange_file_is_refused_and_nothing_is_written(away, capsys, kind):
    entry = zipfile.ZipInfo("logs/1/../../../evil" if kind == "up" else "logs/1/artifacts/x")
    entry.external_attr = ((stat.S_IFLNK if kind == "link" else stat.S_IFREG) | 0o644) << 16
    with zipfile.ZipFile("s.zip", "a") as file:
        file.writestr(entry, "/etc")
    if kind == "text":
        Path("s.zip").write_text("runs", encoding="utf-8")
    before = sorted(os.walk("."))
    assert main(["import", "s.zip", "logs"]) == 1
    assert sorted(os.walk(".")) == before
    told = {"up": "is not a path inside it", "link": "is a link", "text": "nothing that can be imported"}
    assert told[kind] in capsys.readouterr().err


def test_several_that_import_at_once_add_each_run_once(away):
    words = [sys.executable, "-c", MLXP, "import", "s.zip", "logs"]
    several = [subprocess.Popen(words, cwd=away, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [one.wait(300) for one in several] == [0, 0, 0]
    assert sorted(name for name in os.listdir("logs") if name.isdigit()) == ["1", "2", "3", "4", "5"]
