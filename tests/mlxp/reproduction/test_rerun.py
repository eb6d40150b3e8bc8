"""``mlxp rerun``: a run again, from the code that it had."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

MAIN = """\
import os
import mlxp
from lib.model import loss

@mlxp.launch(config_path="configs")
def task(ctx: mlxp.Context) -> None:
    for step in range(3):
        noise = os.environ.get("NOISE", "")
        ctx.logger.log_metrics({"step": step, "loss": loss(step, ctx.config.lr), "env": noise}, "train")
    if os.path.exists("data/numbers.txt"):
        with open("data/numbers.txt") as file:
            ctx.logger.log_metrics({"data": file.read()}, "data")

if __name__ == "__main__":
    task()
"""


def git(directory, *words):
    command = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout


class Project:
    def __init__(self, top):
        self.top = top
        self.write("main.py", MAIN)
        self.write("lib/model.py", "def loss(step, lr):\n    return lr / (step + 1)\n")
        self.write("configs/config.yaml", "lr: 0.5\nseed: 0\n")
        self.write("data/numbers.txt", "1 2 3")
        self.write(".gitignore", "data/\n")

    def write(self, name, text):
        (self.top / name).parent.mkdir(parents=True, exist_ok=True)
        (self.top / name).write_text(text, encoding="utf-8")

    def run(self, *arguments, words=("main.py",), cwd=None, **env):
        result = self.call(sys.executable, *words, *arguments, cwd=cwd, **env)
        assert result.returncode == 0, result.stderr
        return result

    def mlxp(self, *arguments, cwd=None, **env):
        code = "import sys; from mlxp.commands.main import main; sys.exit(main())"
        return self.call(sys.executable, "-c", code, *arguments, cwd=cwd, **env)

    def call(self, *words, cwd=None, **env):
        return subprocess.run(
            words, cwd=cwd or self.top, env=os.environ | env, capture_output=True, text=True, check=False, timeout=120
        )

    def info(self, log_id):
        return yaml.safe_load((self.top / f"logs/{log_id}/metadata/info.yaml").read_text(encoding="utf-8"))

    def change_info(self, log_id, **values):
        file = self.top / f"logs/{log_id}/metadata/info.yaml"
        file.write_text(yaml.safe_dump(self.info(log_id) | values), encoding="utf-8")

    def records(self, log_id, name="train"):
        text = (self.top / f"logs/{log_id}/metrics/{name}.json").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def files(self):
        return {
            path.relative_to(self.top): (path.stat().st_mtime_ns, path.read_bytes())
            for path in self.top.rglob("*")
            if path.is_file() and not {"logs", "objects"} & set(path.relative_to(self.top).parts)
        }


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "my project")


@pytest.fixture
def repository(project):
    git(project.top, "init", "-q")
    git(project.top, "add", "-A")
    git(project.top, "commit", "-q", "-m", "start")
    return project


def edit_everything(project):
    project.write("main.py", "raise SystemExit('edited')\n")
    project.write("lib/model.py", "def loss(step, lr):\n    return -1\n")
    project.write("configs/config.yaml", "lr: 100\n")


def test_run_is_done_again_with_the_code_and_the_configuration_that_it_had(repository):
    repository.write("lib/model.py", "def loss(step, lr):\n    return lr * 7 / (step + 1)\n")  # not committed
    repository.run("seed=4")
    edit_everything(repository)
    status = git(repository.top, "status", "--short")  # which may rewrite the index
    before = repository.files()
    result = repository.mlxp("rerun", "1", "--check")
    assert result.returncode == 0, result.stderr
    assert "run 2 reproduces run 1: 4 of 4 metrics are the same" in result.stdout
    assert repository.info(2)["git"] == repository.info(1)["git"]
    assert repository.info(2)["code_changed"] is False
    info = repository.info(2)
    assert (info["rerun_of"], info["reproduces"], info["status"]) == (1, True, "COMPLETE")
    assert info["code"]["state"] == repository.info(1)["code"]["state"]
    assert repository.records(2) == repository.records(1)
    assert repository.files() == before
    assert git(repository.top, "status", "--short") == status


def test_run_is_done_again_outside_of_git(project):
    project.run()
    edit_everything(project)
    assert project.mlxp("rerun", "1", "--check").returncode == 0
    assert project.records(2) == project.records(1)


def test_run_that_a_run_starts_from_is_found_again(project):
    project.write(
        "main.py",
        MAIN.replace(
            "    for step",
            "    if ctx.config.seed:\n        ctx.logger.load_checkpoint('last', root='logs/1')\n"
            "    ctx.logger.log_checkpoint({'a': 1}, 'last')\n    for step",
        ),
    )
    project.run()
    project.run("seed=1")
    result = project.mlxp("rerun", "2", "--check")
    assert result.returncode == 0, result.stderr
    assert (project.info(2)["parents"], project.info(3)["parents"]) == (["../1"], ["../1"])


def test_rerun_of_a_rerun_is_one(project):
    project.run()
    edit_everything(project)
    project.mlxp("rerun", "1")
    assert project.mlxp("rerun", "2", "--check").returncode == 0
    assert project.info(3)["rerun_of"] == 2
    assert project.info(3)["code"]["top"] == str(project.top)


def test_run_of_a_sweep_is_done_again_alone(project):
    project.run("lr=1,2", "seed=1,2")
    assert project.mlxp("rerun", "3", "--check").returncode == 0
    assert project.info(5)["overrides"] == ["lr=2", "seed=1"]
    assert "rerun_of" in project.info(1)
    assert project.info(1)["rerun_of"] is None


def test_overrides_change_the_new_run(project):
    project.run("lr=1")
    assert project.mlxp("rerun", "1", "lr=3", "+note='a b'").returncode == 0
    config = yaml.safe_load((project.top / "logs/2/metadata/config.yaml").read_text(encoding="utf-8"))
    assert config == {"lr": 3, "seed": 0, "note": "a b"}


def test_query_chooses_the_runs(project):
    project.run("lr=1,2,3")
    project.change_info(2, code=None)
    result = project.mlxp("rerun", "lr <= 3", "--check")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == "3 runs: 1 cannot be repeated (2), 2 reproduced"
    assert [project.info(log_id)["rerun_of"] for log_id in (4, 5)] == [1, 3]
    assert project.mlxp("rerun", "1", "3", "--check").returncode == 0


def test_first_step_and_key_that_differ_are_told_and_recorded(project):
    project.run(NOISE="a")
    result = project.mlxp("rerun", "1", "--check", NOISE="b")
    assert result.returncode == 1
    assert 'train.env: different; record 1, step 0: "a" and "b"' in result.stdout
    assert "run 2 does not reproduce run 1: 3 of 4 metrics are the same" in result.stdout
    assert project.info(2)["reproduces"] is False
    assert project.info(2)["check"]["different"] == {"train.env": 'record 1, step 0: "a" and "b"'}


def test_tolerance_lets_close_numbers_agree(project):
    project.run()
    file = project.top / "logs/1/metrics/train.json"
    file.write_text(file.read_text(encoding="utf-8").replace("0.25", "0.2500001"), encoding="utf-8")
    assert project.mlxp("rerun", "1", "--check").returncode == 1
    result = project.mlxp("rerun", "1", "--check", "--rtol", "1e-5")
    assert result.returncode == 0
    assert "train.loss: within tolerance, at most by 4.0e-07; record 2, step 1: 0.2500001 and 0.25" in result.stdout


def test_dry_run_starts_nothing(project):
    project.run("lr=1")
    result = project.mlxp("rerun", "1", "--dry-run")
    assert result.stdout.rstrip().endswith("main.py lr=1")
    assert not (project.top / "logs/2").exists()


def test_data_that_git_ignores_is_found(repository):
    repository.run()
    assert repository.mlxp("rerun", "1", "--check").returncode == 0
    assert repository.records(2, "data") == [{"data": "1 2 3"}]


@pytest.mark.parametrize("words", [("-m", "main"), ("-u", "-W", "ignore", "main.py")])
def test_options_of_python_are_kept(project, words):
    project.run(words=words)
    edit_everything(project)
    assert project.mlxp("rerun", "1", "--check").returncode == 0


def test_program_that_was_started_from_another_folder_is_found(project):
    project.run(words=(str(project.top / "main.py"),), cwd=project.top / "data")
    edit_everything(project)
    assert project.mlxp("rerun", "1", "--check").returncode == 0


def test_command_of_an_installed_package_is_found_from_the_copy(project, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/train").write_text("from main import task\ntask()\n", encoding="utf-8")
    project.run(words=("../bin/train",), PYTHONPATH=str(project.top))
    edit_everything(project)
    assert project.mlxp("rerun", "1", "--check", PYTHONPATH=str(project.top)).returncode == 0


def test_other_configuration_file_is_kept(project):
    project.write("configs/other.yaml", "lr: 7\n")
    project.run("--config-name=other", "lr=8")
    assert project.mlxp("rerun", "1", "--check").returncode == 0
    config = yaml.safe_load((project.top / "logs/2/metadata/config.yaml").read_text(encoding="utf-8"))
    assert config == {"lr": 8}


def test_package_on_pythonpath_is_the_copys(project):
    shutil.move(project.top / "lib", project.top / "src/lib")
    project.run(PYTHONPATH=str(project.top / "src"))
    project.write("src/lib/model.py", "def loss(step, lr):\n    return -1\n")
    result = project.mlxp("rerun", "1", "--check", PYTHONPATH=str(project.top / "src"))
    assert result.returncode == 0, result.stderr


def test_module_that_does_not_come_from_the_copy_is_refused(project):
    project.write("main.py", f"import sys\nsys.path.insert(0, {str(project.top)!r})\n{MAIN}")
    project.run()
    result = project.mlxp("rerun", "1")
    assert result.returncode == 1
    assert f"these modules come from {project.top} instead of the copy" in result.stderr
    assert "lib.model" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": None}, "run 1 in .* does not say how it was started"),
        ({"code": None}, "the code of run 1 in .* is not stored: it ran with mlxp.capture=false"),
        ({"code": {"problem": "git is missing"}}, "the code of run 1 in .* is not stored: git is missing"),
        ({"overrides": ["+hf_token=<masked>"]}, r"was given a secret, which was not recorded: \+hf_token=<masked>"),
    ],
)
def test_what_is_missing_is_said(project, change, message):
    project.run()
    project.change_info(1, **change)
    result = project.mlxp("rerun", "1")
    assert result.returncode == 1
    assert re.search(message, result.stderr)
    assert not (project.top / "logs/2").exists()


def test_code_that_is_gone_is_said(project):
    project.run()
    shutil.rmtree(project.top / "logs/.store/objects")
    result = project.mlxp("rerun", "1")
    assert result.returncode == 1
    assert "run 1 cannot be repeated: the code of state" in result.stderr


def test_secret_that_is_given_again_is_enough(project):
    project.run("+hf_token=abcd-1234")
    assert project.mlxp("rerun", "1").returncode == 1
    assert project.mlxp("rerun", "1", "+hf_token=abcd-1234").returncode == 0


def test_other_versions_of_packages_are_refused_unless_forced(project):
    project.run()
    file = next((project.top / "logs/.store/environments").glob("*.yaml"))
    text = file.read_text(encoding="utf-8")
    old = next(line for line in text.splitlines() if "omegaconf==" in line)
    address = "0" * 20
    (file.parent / f"{address}.yaml").write_text(text.replace(old, "- omegaconf==1.0"), encoding="utf-8")
    environment = project.info(1)["environment"] | {"packages": address}
    project.change_info(1, environment=environment)
    result = project.mlxp("rerun", "1")
    assert result.returncode == 1
    assert "the environment differs: omegaconf was 1.0 and is " in result.stderr
    assert project.mlxp("rerun", "1", "--force").returncode == 0


def test_other_processor_and_other_number_of_processes_are_remarked(project):
    project.run()
    project.change_info(1, environment=project.info(1)["environment"] | {"cpu": "Abacus"}, ranks=4)
    result = project.mlxp("rerun", "1")
    assert result.returncode == 0
    assert "the last digits of numbers may differ: cpu was Abacus and is " in result.stderr
    assert "run 1: it was executed by 4 processes, and is by one unless --submit uses its script" in result.stderr


def test_package_that_is_missing_is_listed_by_the_name_under_which_it_was_installed(project):
    project.run()
    file = next((project.top / "logs/.store/environments").glob("*.yaml"))
    recorded = yaml.safe_load(file.read_text(encoding="utf-8"))
    recorded["packages"] += ["scikit-absent==1.5"]
    recorded["modules"]["scikit-absent"] = ["skabsent"]
    (file.parent / f"{'0' * 20}.yaml").write_text(yaml.safe_dump(recorded), encoding="utf-8")
    info = project.info(1)
    packages = [*info["packages"], "skabsent==1.5"]
    project.change_info(1, environment=info["environment"] | {"packages": "0" * 20}, packages=packages)
    result = project.mlxp("rerun", "1")
    assert result.returncode == 1
    assert "the environment differs: scikit-absent was 1.5 and is not installed; --env uv recreates" in result.stderr


UV = """\
#!/bin/sh
echo "$@" >> "{log}"
case "$1" in
venv)
    for folder; do :; done
    mkdir -p "$folder/bin"
    printf '#!/bin/sh\nexec "{python}" "$@"\n' > "$folder/bin/python"
    chmod +x "$folder/bin/python" ;;
pip)
    for file; do :; done
    cat "$file" >> "{log}" ;;
esac
"""


def test_environment_that_the_run_had_is_made_once_with_uv(project):
    project.run()
    program = project.top.parent / "uv/uv"
    program.parent.mkdir()
    log = program.with_name("log")
    program.write_text(UV.format(log=log, python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    file = next((project.top / "logs/.store/environments").glob("*.yaml"))
    text = "packages: [omegaconf==1.0, 'mine==1 @ https://example.org/mine.git@abcdef0', torch==2.5.1+cu124]\n"
    (file.parent / f"{'0' * 20}.yaml").write_text(text, encoding="utf-8")
    project.change_info(1, environment=project.info(1)["environment"] | {"packages": "0" * 20})
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    result = project.mlxp("rerun", "1", "1", "--env", "uv", "--check", PATH=path)
    assert result.returncode == 0, result.stderr
    venv, pip, *wanted = log.read_text(encoding="utf-8").splitlines()
    made = project.top / f"logs/.mlxp/environments/{'0' * 20}-{project.info(1)['python']}"
    assert venv == f"venv --quiet --clear --python {project.info(1)['python']} {made}"
    assert pip.startswith(f"pip install --quiet --no-deps --python {made}/bin/python --torch-backend cu124 -r ")
    assert wanted == ["omegaconf==1.0", "mine @ git+https://example.org/mine.git@abcdef0", "torch==2.5.1+cu124"]
    assert f"{made}/bin/python main.py" in result.stdout


def test_logs_on_another_computer_are_enough_and_what_is_missing_is_said(repository):
    repository.run("+path=/nowhere/data")
    shutil.move(repository.top, repository.top.parent / "gone")
    moved = Project.__new__(Project)
    moved.top = repository.top.parent / "elsewhere"
    shutil.copytree(repository.top.parent / "gone/logs", moved.top / "logs", symlinks=True)
    result = moved.mlxp("rerun", "1", "--check")
    assert "my project is not here, so files that git ignored there, such as data, are missing" in result.stderr
    assert "run 1: /nowhere/data is not here" in result.stderr
    assert "data.data: missing" in result.stdout  # which the program passes over
    assert moved.records(2) == moved.records(1)
    info = moved.info(1)
    moved.change_info(1, work_dir="/nowhere/at/all")
    assert "was started in /nowhere/at/all, which is not here" in moved.mlxp("rerun", "1").stderr
    moved.change_info(1, work_dir=info["work_dir"], command=["python", "/nowhere/main.py"])
    assert "executed /nowhere/main.py, which is neither in its code nor here" in moved.mlxp("rerun", "1").stderr


def test_run_that_fails_again_is_told(project):
    project.write("main.py", MAIN.replace("for step", "raise ValueError('no')\n    for step"))
    project.call(sys.executable, "main.py")
    result = project.mlxp("rerun", "1", "--check")
    assert result.returncode == 0  # it fails as it did
    assert "run 2 ended with exit code 1" in result.stderr
    assert project.info(2)["reproduces"] is True


@pytest.mark.parametrize("words", [[], ["lr=1"], ["1", "lr < 3"], ["lr < 3", "seed == 1"]])
def test_unclear_words_are_refused(project, words):
    project.run()
    result = project.mlxp("rerun", *words)
    assert result.returncode == 2 or "rerun takes ids of runs, or one query" in result.stderr


def test_run_that_is_not_there_is_said(project):
    project.run()
    assert "there is no run 7 in " in project.mlxp("rerun", "7").stderr


RESOLVERS = """\
import os
os.environ["PROJECT_ROOT"] = os.path.dirname(os.path.abspath(__file__))
from omegaconf import OmegaConf
OmegaConf.register_new_resolver("scaled", lambda value: float(os.environ.get("FACTOR", "1")) * value)
"""

RESOLVED = """\
lr: 0.5
seed: 0
data: ${oc.env:DATA_ROOT,/tmp}
file: ${data}/${seed}.npz
folders: [{first: "${oc.env:DATA_ROOT,/tmp}"}]
rate: ${scaled:${lr}}
root: ${oc.env:PROJECT_ROOT}/data
now: ${now:%H%M%S%f}
hf_token: ${oc.env:HF_TOKEN,none}
"""


def config_of(project, log_id):
    return yaml.safe_load((project.top / f"logs/{log_id}/metadata/config.yaml").read_text(encoding="utf-8"))


def test_rerun_has_the_values_that_the_environment_and_resolvers_gave_to_the_run(project):
    project.write("main.py", RESOLVERS + MAIN)
    project.write("configs/config.yaml", RESOLVED)
    project.run(DATA_ROOT="/a", FACTOR="3", HF_TOKEN="hf_" + "x7" * 17)
    first = config_of(project, 1)
    assert (first["data"], first["rate"], first["root"]) == ("/a", 1.5, f"{project.top}/data")
    again = project.mlxp("rerun", "1", "--check")
    assert again.returncode == 0, again.stderr
    copy = project.info(2)["code"]["copy"]
    own = {"now": config_of(project, 2)["now"], "root": f"{copy}/data", "hf_token": "none"}
    assert own["now"] != first["now"]
    assert config_of(project, 2) == first | own


def test_override_of_a_rerun_also_changes_what_follows_from_it(project):
    project.write("main.py", RESOLVERS + MAIN)
    project.write("configs/config.yaml", RESOLVED)
    project.run(DATA_ROOT="/a", FACTOR="3")
    for override in ("lr=2", "data=/b"):
        assert project.mlxp("rerun", "1", override).returncode == 0
    kept = {"data": "/a", "file": "/a/0.npz", "folders": [{"first": "/a"}]}
    assert {key: config_of(project, 2)[key] for key in kept} == kept
    assert config_of(project, 2)["rate"] == 2.0  # it may depend on what was changed
    assert (config_of(project, 3)["data"], config_of(project, 3)["file"]) == ("/b", "/b/0.npz")


def test_other_group_in_a_rerun_brings_its_own_values(project):
    for name in ("small", "large"):
        project.write(f"configs/model/{name}.yaml", f"path: ${{oc.env:PATH_OF_{name.upper()},nowhere}}\n")
    project.write("configs/config.yaml", "defaults: [model: small]\nlr: 0.5\n")
    project.run(PATH_OF_SMALL="/small")
    assert project.mlxp("rerun", "1", "model=large", PATH_OF_LARGE="/large").returncode == 0
    assert config_of(project, 2)["model"] == {"path": "/large"}


def test_rerun_whose_configuration_comes_out_differently_is_refused(project, tmp_path):
    (tmp_path / "others/model").mkdir(parents=True)
    group = tmp_path / "others/model/deep.yaml"
    group.write_text("layers: 3\n", encoding="utf-8")
    project.run("--config-dir", str(tmp_path / "others"), "+model=deep")
    group.write_text("layers: 5\n", encoding="utf-8")
    again = project.mlxp("rerun", "1")
    assert again.returncode == 1
    assert "the configuration is not that of run 1: model.layers was 3, is 5. Nothing was run." in again.stderr
    assert project.info(2)["status"] == "REFUSED"
    assert not list((project.top / "logs/2/metrics").glob("*.json"))
    assert project.mlxp("rerun", "1", "seed=3").returncode == 0


def test_number_of_a_rerun_that_never_began_is_not_taken(project):
    project.run()
    again = project.mlxp("rerun", "1", "unknown=3")
    assert again.returncode == 1
    assert "run 1 was not done again: its program ended with exit code 1 before the run" in again.stderr
    assert not (project.top / "logs/2").exists()


def test_generated_module_that_git_ignores_is_used_as_it_is_and_named(repository):
    repository.write(".gitignore", "data/\nlib/_version.py\n")
    repository.write("lib/_version.py", "VERSION = 1\n")
    repository.write("main.py", MAIN.replace("import mlxp\n", "import mlxp\nimport lib._version\n"))
    repository.run()
    again = repository.mlxp("rerun", "1", "--check")
    assert again.returncode == 0, again.stderr
    assert "mlxp: not from the copy of the code, since git ignores them: lib/_version.py" in again.stderr
    assert repository.info(2)["code"]["linked"] == ["lib/_version.py"]
    repository.run("mlxp.use_version_manager=true")
    assert repository.info(3)["code"]["linked"] == ["lib/_version.py"]


@pytest.mark.parametrize("name", ["main.py", "lib/keys.py"])
def test_code_that_was_left_out_is_told_at_once_and_refused_in_a_rerun(repository, name):
    secret = f"KEY = 'ghp_{'a1B2' * 9}'\n"
    if name == "main.py":
        git(repository.top, "rm", "-q", "--cached", "main.py")
        repository.write("main.py", secret + MAIN)
    else:
        repository.write("lib/keys.py", secret)
        repository.write("main.py", MAIN.replace("import mlxp\n", "import mlxp\nimport lib.keys\n"))
    reason = (
        f"files that are not stored with the code: {name}; git does not track them, and they are large or look like"
    )
    assert f"mlxp: there are {reason}" in repository.run().stderr
    again = repository.mlxp("rerun", "1")
    assert again.returncode == 1
    assert reason in again.stderr


def test_run_without_metrics_is_not_said_to_reproduce(project):
    project.write("main.py", MAIN.replace("range(3)", "range(0)").replace("data/numbers.txt", "data/none"))
    project.run()
    again = project.mlxp("rerun", "1", "--check")
    assert (again.returncode, project.info(2)["status"]) == (1, "COMPLETE")
    assert "run 1 has logged no metrics that could be compared" in again.stderr
    assert "reproduces" not in project.info(2)
