"""``mlxp export``: runs, and all that they were made from, in one zip file that others can read and do again."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from rocrate.rocrate import ROCrate

import mlxp
from mlxp.commands.main import main
from mlxp.errors import LogDirectoryError

ROOT = Path(__file__).parents[3]
MAIN = """\
import os
import socket

import mlxp


@mlxp.launch(config_path="configs")
def task(ctx: mlxp.Context) -> None:
    print("on", socket.gethostname(), "in", os.getcwd(), "by me@example.org")
    if ctx.config.start:
        ctx.logger.load_checkpoint(root=ctx.config.start)
    for step in range(3):
        ctx.logger.log_metrics({"step": step, "loss": ctx.config.lr / (step + 1)}, "train")
    ctx.logger.log_checkpoint({"lr": ctx.config.lr})
    if ctx.config.lr > 1:
        raise ValueError(f"{os.getcwd()}/data is not there")


if __name__ == "__main__":
    task()
"""
USER = "janet"
MLXP = "import sys; from mlxp.commands.main import main; sys.exit(main())"


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def call(*words, cwd, check=True, **env):
    done = subprocess.run(
        words, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project in the home directory of somebody, with three runs, the last of which started from the first."""
    top = tmp_path_factory.mktemp("home") / USER / "my paper"
    write(top / "main.py", MAIN)
    write(
        top / "configs/config.yaml", f"lr: 0.5\nseed: 0\nstart: null\noptimizer: {USER}\ndata: /scratch/{USER}/digits\n"
    )
    words = (sys.executable, "main.py", "mlxp.logger.log_streams_to_file=true")
    call(*words, f"data={top}/data", "lr=0.5,0.25", cwd=top)
    call(*words, f"start={top}/logs/1", cwd=top)
    assert call(*words, "lr=2", cwd=top, check=False).returncode == 1
    return top


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    top = tmp_path / USER / "my paper"
    shutil.copytree(made, top, symlinks=True)
    for file in [*top.rglob("*.yaml"), *top.rglob("log.std*")]:
        file.write_text(file.read_text(encoding="utf-8").replace(str(made), str(top)), encoding="utf-8")
    monkeypatch.chdir(top)
    monkeypatch.setenv("LOGNAME", USER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return top


def exported(*words, name="s.zip"):
    assert main(["export", *words, name]) == 0
    return contents(name)


def contents(name):
    with zipfile.ZipFile(name) as file:
        return {entry: file.read(entry) for entry in file.namelist()}


def info(content, log_id):
    return yaml.safe_load(content[f"logs/{log_id}/metadata/info.yaml"])


def test_same_runs_give_the_same_bytes(project):
    exported("1", "2", "4")
    before = Path("s.zip").read_bytes()
    exported("log_id in [1, 2, 4]")
    assert Path("s.zip").read_bytes() == before
    assert sorted(os.listdir()) == ["configs", "logs", "main.py", "s.zip"]


def test_code_is_there_once_and_metrics_are_byte_for_byte_the_same(project):
    content = exported("1", "2", "4")
    assert [name for name in content if name.endswith(".pack")] == [next(n for n in content if n.endswith(".pack"))]
    assert content["logs/2/metrics/train.json"] == Path("logs/2/metrics/train.json").read_bytes()
    assert info(content, 4)["status"] == "FAILED"
    assert not [name for name in content if name.startswith("/") or ".." in name]


def test_no_user_host_or_place_is_in_it(project, tmp_path, capsys):
    content = exported("1", "2", "3", "4")
    kept = {"logs/1/metadata/config.yaml", "logs/2/metadata/config.yaml", "logs/3/metadata/config.yaml"}
    for name, content_of_file in content.items():
        assert str(tmp_path).encode() not in content_of_file, name
        assert f"/{USER}".encode() not in content_of_file.replace(b"<path>", b""), name
        assert b"example.org" not in content_of_file, name
        if not name.startswith("logs/.store") and not name.endswith("config.yaml"):
            assert USER.encode() not in content_of_file, name
    described = info(content, 4)
    assert (described["hostname"], described["process_id"], described["process_start"]) == ("<host>", None, None)
    assert described["work_dir"] == "../project"
    assert "project/main.py" in described["exit"]["traceback"]
    assert described["exit"]["traceback"].endswith("ValueError: project/data is not there")
    assert content["logs/2/log.stdout"].decode() == "on <host> in project by <email>\n"
    assert info(content, 1)["overrides"] == ["mlxp.logger.log_streams_to_file=true", "data=./data", "lr=0.5"]
    assert yaml.safe_load(content["logs/1/metadata/config.yaml"])["data"] == "./data"
    assert kept <= content.keys()
    # A word of a configuration may be no name at all: it stays, and is reported.
    assert yaml.safe_load(content["logs/1/metadata/config.yaml"])["optimizer"] == USER
    told = capsys.readouterr().err
    assert f"the name {USER} is still in it: the code: configs/config.yaml, logs/1/metadata/config.yaml" in told


def test_names_can_be_kept_and_more_can_be_hidden(project):
    kept = info(exported("1", "--keep-names"), 1)
    assert (kept["hostname"], kept["code"]["top"]) == (socket.gethostname(), str(project))
    content = exported("1", "--hide", USER)
    assert yaml.safe_load(content["logs/1/metadata/config.yaml"])["optimizer"] == "<hidden>"


def test_what_a_run_was_made_from_is_taken_along(project, capsys):
    content = exported("3")
    assert "1 run, and 1 that they were made from: 1;" in capsys.readouterr().out
    assert info(content, 3)["parents"] == ["../1"]
    assert "logs/1/artifacts/pickle/checkpoint.pkl" in content
    assert not any(name.startswith("logs/2/") for name in content)


def test_parent_in_another_directory_gets_an_id_of_its_own(project):
    shutil.copytree("logs", "elsewhere")
    file = Path("logs/3/metadata/info.yaml")
    write(file, file.read_text(encoding="utf-8").replace("- ../1\n", "- ../../elsewhere/1\n"))
    content = exported("3", "2")
    assert info(content, 3)["parents"] == ["../4"]
    assert info(content, 4)["origin"] == info(exported("1"), 1)["origin"]
    assert info(content, 4)["logger"]["log_dir"] == "logs/4"


def test_run_that_has_not_ended_is_not_exported(project, capsys):
    file = Path("logs/2/metadata/info.yaml")
    described = yaml.safe_load(file.read_text(encoding="utf-8"))
    write(file, yaml.safe_dump({**described, "status": "RUNNING", "process_id": os.getpid(), "process_start": None}))
    assert main(["export", "1", "2", "s.zip"]) == 1
    assert "run 2 is RUNNING: only runs that have ended can be exported" in capsys.readouterr().err
    assert not Path("s.zip").exists()


def test_metadata_are_an_ro_crate_that_its_library_reads(project):
    content = exported("3", "2")
    crate = ROCrate("s.zip")
    folders = {"README.md", "logs/1/", "logs/2/", "logs/3/", "logs/.store/"}
    lists = {name for name in content if name.startswith("environments/")}
    assert {entity.id for entity in crate.data_entities} == folders | lists
    assert all(any(name.startswith(entity.id) for name in content) for entity in crate.data_entities)
    assert {"name", "description", "license", "datePublished"} <= crate.root_dataset.properties().keys()
    third = crate.dereference("#run-3")
    assert third["instrument"]["identifier"].startswith("swh:1:dir:")
    assert crate.dereference("logs/1/") in third["object"]
    assert third["result"] == crate.dereference("logs/3/")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["1", "main.py"], "export takes ids of runs"),
        (["s.zip"], "export takes ids of runs"),
        (["7", "s.zip"], "there is no run 7"),
        (["lr > 5", "s.zip"], "no run in"),
        (["1", "nowhere/s.zip"], "there is no directory nowhere"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(project, capsys, words, told):
    assert main(["export", *words]) == 1
    assert told in capsys.readouterr().err


def test_artifacts_can_be_left_out(project):
    assert not [name for name in exported("1", "--no-artifacts") if "/artifacts/" in name]


def test_links_to_folders_and_strange_files_are_left_out_and_named(project, capsys):
    os.symlink("/etc", "logs/1/etc")
    os.mkfifo("logs/1/pipe")
    write(Path("logs/1/notes.txt"), "mine")
    content = exported("1")
    assert content["logs/1/notes.txt"] == b"mine"
    assert not [name for name in content if "etc" in name or "pipe" in name]
    assert "not in the export: run 1: 'pipe'" in (told := capsys.readouterr().err)
    assert "not in the export: run 1: 'etc'" in told


def test_other_processes_of_a_run_are_without_names_too(project):
    write(Path("logs/1/metadata/ranks/1.yaml"), "status: FAILED\nhostname: node17.cluster\nprocess_id: 815\n")
    write(Path("logs/1/log.stderr"), "node17: out of memory\n")
    content = exported("1")
    assert content["logs/1/metadata/ranks/1.yaml"] == b"status: FAILED\nhostname: <host>\nprocess_id: null\n"
    assert content["logs/1/log.stderr"] == b"<host>: out of memory\n"


def test_nothing_of_the_job_of_a_run_is_taken_along(project):
    for name in ("submission.yaml", "submitting", "claims/1.yaml"):
        write(Path("logs/1/metadata", name), "scheduler: SLURM\n")
    assert not [name for name in exported("1") if "subm" in name or "claim" in name]


def test_runs_of_mlxp_1_are_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logs = ROOT / "tests/data/mlxp-1.0.5-logs/logs"
    assert main(["export", "--logs", str(logs), "1", "s.zip"]) == 0
    content = contents("s.zip")
    assert info(content, 1)["work_dir"] == "<path>/proj"
    assert b"Run 1: its code was not stored" in content["README.md"]
    assert len(mlxp.Reader("s.zip", dst_dir=tmp_path / "index")) == 1


def test_reader_reads_an_archive_as_it_reads_the_directory(project):
    exported("1", "2", "3", "4")
    ours, theirs = mlxp.Reader("logs"), mlxp.Reader("s.zip")
    query = "info.status == 'COMPLETE' & train.loss.min < 0.15"
    assert ours.filter(query)["train.loss"].tolist() == theirs.filter(query)["train.loss"].tolist()
    runs = theirs.filter()
    columns = ["log_id", "step", "train.loss", "config.lr"]
    assert runs.history("train.loss")[columns].equals(ours.filter().history("train.loss")[columns])
    assert runs["artifact.pickle."][1]["checkpoint.pkl"].load() == {"lr": 0.25}
    folders = os.listdir(project.parents[1] / "cache/mlxp/archives")
    mlxp.Reader("s.zip")
    assert os.listdir(project.parents[1] / "cache/mlxp/archives") == folders  # unpacked once
    assert main(["table", "--logs", "s.zip"]) == 0
    assert main(["show", "--logs", "s.zip", "3"]) == 0
    assert main(["diff", "--logs", "s.zip", "1", "4", "--code"]) == 0


def test_archive_made_by_zip_can_be_read(project):
    mlxp.Reader("logs")  # which leaves an index there
    shutil.make_archive("plain", "zip", ".", "logs")
    assert [name for name in contents("plain.zip") if "/.mlxp/" in name]
    reader = mlxp.Reader("plain.zip")
    assert repr(reader).startswith("4 runs · 0 cached, 0 changed, 4 new")


def hostile(file, name="logs/1/metadata/info.yaml", content=b"status: COMPLETE\n", kind=stat.S_IFREG, **given):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o644) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    for key, value in given.items():
        setattr(entry, key, value)
    file.writestr(entry, content)


TRAPS = {
    "up": ({"name": "logs/1/../../../evil"}, "is not a path inside it"),
    "absolute": ({"name": "/logs/1/evil"}, "is not a path inside it"),
    "windows": ({"name": "C:/evil"}, "is not a path inside it"),
    "link": ({"name": "logs/1/artifacts", "content": b"/etc", "kind": stat.S_IFLNK}, "is a link, or no file"),
    "device": ({"name": "logs/1/x", "kind": stat.S_IFCHR}, "is a link, or no file"),
    "inside a file": ({"name": "logs/1/metadata/info.yaml/x"}, "is inside a file"),
    "bomb": ({"name": "logs/1/x", "content": b"\0" * 3_000_000}, "would become 3 MB"),
    "lzma": ({"name": "logs/1/x", "compress_type": zipfile.ZIP_LZMA}, "in a way that is not known"),
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archive_is_refused_before_anything_is_written(tmp_path, monkeypatch, trap):
    given, told = TRAPS[trap]
    monkeypatch.setattr("mlxp.run_directory.archive._HARMLESS_SIZE", 1_000_000)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with zipfile.ZipFile("s.zip", "w") as file:
        hostile(file)
        hostile(file, **given)
    with pytest.raises(LogDirectoryError, match=told):
        mlxp.Reader("s.zip")
    assert os.listdir() == ["s.zip"]


def test_archive_whose_entries_overlap_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("s.zip", "w") as file:
        hostile(file, content=os.urandom(10_000))
        first = file.filelist[0]
        for number in range(5):
            again = zipfile.ZipInfo(f"logs/1/{number}")
            for name in ("CRC", "compress_size", "file_size", "header_offset", "compress_type"):
                setattr(again, name, getattr(first, name))
            file.filelist.append(again)
    with pytest.raises(LogDirectoryError, match="its entries overlap"):
        mlxp.Reader("s.zip")


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04 cut"])
def test_what_is_no_archive_of_runs_is_told_in_a_sentence(tmp_path, content):
    (tmp_path / "s.zip").write_bytes(content)
    with pytest.raises(LogDirectoryError, match="cannot be read as a zip file"):
        mlxp.Reader(tmp_path / "s.zip")


def test_damaged_archive_is_told_in_a_sentence(project):
    exported("1")
    content = bytearray(Path("s.zip").read_bytes())
    place = content.index(b"logs/1/metrics/train.json") + 30
    content[place : place + 4] = b"\xff\xff\xff\xff"
    Path("s.zip").write_bytes(content)
    with pytest.raises(LogDirectoryError, match=r"s\.zip cannot be read"):
        mlxp.Reader("s.zip")


def other_environment(folder):
    """Return the Python of another environment that has the same packages."""
    call(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder.parent)
    site = next(folder.glob("lib/python3*/site-packages"))
    here = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    write(
        site / "same.pth",
        f"import sys; sys.path.extend({[*here, str(ROOT), str(ROOT / 'reader')]!r})\n",
    )
    return folder / "bin/python"


def test_package_that_is_the_project_itself_comes_with_the_code_of_each_run(tmp_path):
    home, away = tmp_path / "my home", tmp_path / "away"
    write(home / "src/mine/__init__.py", "__version__ = '0.1'\nfactor = 3\n")
    write(
        home / "run.py",
        "import mine\nimport mlxp\n\n@mlxp.launch()\ndef task(ctx):\n"
        "    ctx.logger.log_metrics({'loss': mine.factor}, 'train')\n\ntask()\n",
    )
    write(tmp_path / "site/mine-0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 0.1\n")
    write(tmp_path / "site/mine-0.1.dist-info/top_level.txt", "mine\n")
    write(tmp_path / "site/mine-0.1.dist-info/direct_url.json", json.dumps({"url": home.as_uri(), "dir_info": {}}))
    call(sys.executable, "run.py", cwd=home, PYTHONPATH=f"{tmp_path}/site{os.pathsep}{home}/src")
    call(sys.executable, "-c", MLXP, "export", "1", str(tmp_path / "s.zip"), cwd=home)
    shutil.rmtree(home)
    with zipfile.ZipFile(tmp_path / "s.zip") as file:
        file.extractall(away)
    listed = next((away / "environments").iterdir()).read_text(encoding="utf-8")
    assert "# mine==0.1 is part of the project" in listed
    assert re.search(rf"^mlxp=={re.escape(mlxp.__version__)}$", listed, re.MULTILINE)
    done = call(sys.executable, "-c", MLXP, "rerun", "1", "--check", cwd=away)
    assert "run 2 reproduces run 1: 1 of 1 metrics are the same" in done.stdout


def test_digits_are_done_again_from_an_export_in_another_folder_and_environment(tmp_path):
    home, away = tmp_path / "home", tmp_path / "away"
    shutil.copytree(ROOT / "docs/examples/digits", home, ignore=shutil.ignore_patterns("logs"))
    call(sys.executable, "main.py", "seed=1,2", "num_epochs=2", cwd=home)
    call(sys.executable, "-c", MLXP, "export", "info.status == 'COMPLETE'", "s.zip", cwd=home)
    (home / "s.zip").rename(tmp_path / "s.zip")
    shutil.rmtree(home / "logs")
    write(home / "main.py", "raise SystemExit('edited')\n")
    write(home / "configs/config.yaml", "edited: true\n")
    with zipfile.ZipFile(tmp_path / "s.zip") as file:
        file.extractall(away)
    python = other_environment(tmp_path / "other")
    done = call(str(python), "-c", MLXP, "rerun", "1", "2", "--check", cwd=away)
    assert "run 3 reproduces run 1: 9 of 9 metrics are the same" in done.stdout
    assert "run 4 reproduces run 2: 9 of 9 metrics are the same" in done.stdout
    again = yaml.safe_load((away / "logs/3/metadata/info.yaml").read_text(encoding="utf-8"))
    assert again["executable"] == str(python)
    assert again["code"]["top"] == str(away / "project")
