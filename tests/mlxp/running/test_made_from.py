"""What a run records of its code and environment, and that it records no secret."""

import os
import subprocess

import pytest

from mlxp.running.environment import packages_of

TOKEN = "plain-word-42"  # not a shape that anybody knows


def git(directory, *words):
    command = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


def texts(directory):
    return {
        path: path.read_text(encoding="utf-8", errors="replace")
        for path in directory.rglob("*")
        if path.is_file() and "objects" not in path.parts
    }


def test_code_of_a_run_is_stored_as_it_was(actions):
    git(actions.directory, "init", "-q")
    git(actions.directory, "add", "main.py")
    git(actions.directory, "commit", "-q", "-m", "start")
    git(actions.directory, "remote", "add", "origin", "https://me:pa55word@example.org/x.git")
    with (actions.directory / "main.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    assert actions.run().returncode == 0
    info = actions.info()
    assert info["git"]["dirty"] is True
    assert info["git"]["remote"] == "https://<masked>@example.org/x.git"
    assert (info["code"]["top"], info["code"]["directory"]) == (str(actions.directory), ".")
    assert (actions.directory / "logs/.store/trees" / info["code"]["state"]).exists()


def test_runs_of_one_state_share_it(actions):
    actions.run("number=1,2")
    actions.run()
    assert len({actions.info(log_id)["code"]["state"] for log_id in (1, 2, 3)}) == 1
    assert len(list((actions.directory / "logs/.store/trees").iterdir())) == 1


def test_packages_of_the_environment_are_found_by_its_address(actions):
    actions.run()
    address = actions.info()["environment"]["packages"]
    assert any(line.startswith("omegaconf==") for line in packages_of(actions.directory / "logs/.store", address))


def test_nothing_is_captured_where_that_is_switched_off(actions):
    actions.run("mlxp.capture=false")
    info = actions.info()
    assert (info["git"], info["code"], info["environment"]) == (None, None, None)
    assert not (actions.directory / "logs/.store").exists()


def test_switches_are_those_that_the_task_has_set(actions):
    (actions.directory / "main.py").write_text(
        """\
import sys
import types

import mlxp

@mlxp.launch(config_path="configs")
def task(ctx):
    cudnn = types.SimpleNamespace(deterministic=True, benchmark=False)
    sys.modules["torch"] = types.SimpleNamespace(
        are_deterministic_algorithms_enabled=lambda: True,
        get_num_threads=lambda: 4,
        backends=types.SimpleNamespace(cudnn=cudnn),
        get_float32_matmul_precision=lambda: "high",
    )

task()
""",
        encoding="utf-8",
    )
    assert actions.run().returncode == 0
    assert actions.info()["environment"]["switches"]["torch.deterministic_algorithms"] is True


def test_store_that_cannot_be_written_stops_no_run(actions):
    (actions.directory / "logs").mkdir()
    (actions.directory / "logs/.store").write_text("in the way", encoding="utf-8")
    assert actions.run().returncode == 0
    info = actions.info()
    assert info["status"] == "COMPLETE"
    assert ".store" in info["code"]["problem"]
    assert ".store" in info["environment"]["problem"]


def test_interpolation_that_leads_to_a_secret_stays_as_it_was_written(actions):
    with (actions.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("login:\n  hf_token: ${oc.env:HF_TOKEN}\n  as: me:${.hf_token}\n  home: ${oc.env:MY_DATA}\n")
    env = os.environ | {"HF_TOKEN": TOKEN, "MY_DATA": "/data"}
    assert actions.run("action=config", env=env).returncode == 0
    assert actions.config()["login"] == {"hf_token": "${oc.env:HF_TOKEN}", "as": "me:${.hf_token}", "home": "/data"}


@pytest.mark.parametrize("action", ["value", "fail"])
def test_secret_is_in_no_file_of_a_run(actions, action):
    arguments = ["+wandb_api_key=abcd-1234-efgh", f"+note={TOKEN}", "+mlxp.logger.log_streams_to_file=false"]
    actions.run(f"action={action}", *arguments, env=os.environ | {"HF_TOKEN": TOKEN})
    written = "\n".join(texts(actions.directory / "logs").values())
    assert TOKEN not in written
    assert "abcd-1234-efgh" not in written
    assert "<masked>" in written


def test_secret_is_in_no_file_that_hydra_is_told_to_write(actions):
    words = ["+login.password=open-sesame-1", "+note=open-sesame-1", "hydra.output_subdir=.hydra"]
    assert actions.run(*words).returncode == 0
    written = texts(actions.directory / "logs")
    assert {"overrides.yaml", "hydra.yaml"} <= {path.name for path in written}
    assert "open-sesame-1" not in "\n".join(written.values())


def test_secret_of_a_traceback_is_masked(actions):
    code = "\nACTIONS['leak'] = lambda ctx: int(os.environ['HF_TOKEN'])\n"
    text = (actions.directory / "main.py").read_text(encoding="utf-8")
    assert "ACTIONS = {" in text
    head, _, tail = text.partition("@mlxp.launch")
    (actions.directory / "main.py").write_text(f"{head}{code}\n\n@mlxp.launch{tail}", encoding="utf-8")
    assert actions.run("action=leak", env=os.environ | {"HF_TOKEN": TOKEN}).returncode == 1
    end = actions.info()["exit"]
    assert end["reason"] == "ValueError: invalid literal for int() with base 10: '<masked>'"
    assert TOKEN not in end["traceback"]


def test_secret_of_the_configuration_is_masked_under_other_keys_and_in_the_traceback(actions):
    with (actions.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write("login:\n  password: open-sesame-1\naddress: me;open-sesame-1\n")
    assert actions.run("action=config").returncode == 0
    assert "open-sesame-1" not in "\n".join(texts(actions.directory / "logs").values())
    assert actions.config()["address"] == "me;<masked>"
