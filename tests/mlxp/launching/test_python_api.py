"""Running and sweeping from Python and from a notebook."""

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest


def python(actions, code, **options):
    """Run code beside the program, which it can import."""
    command = [sys.executable, "-c", f"from main import task\nimport mlxp, sys\n{code}"]
    return subprocess.run(command, cwd=actions.directory, capture_output=True, text=True, check=False, **options)


def test_run_returns_the_value(actions):
    result = python(actions, "print(task.run(['number=3']))")
    assert (result.stdout, result.stderr) == ("3\n", "")
    assert actions.statuses() == ["COMPLETE"]


def test_sweep_returns_the_values_with_the_ids(actions):
    result = python(actions, "r = task.sweep(['number=3,4', 'seed=1,2']); print(r, r.log_ids)")
    assert (result.stdout, result.stderr) == ("[3, 3, 4, 4] [1, 2, 3, 4]\n", "")


def test_sweep_in_parallel(actions):
    result = python(actions, "r = task.sweep(['number=3,4', 'hydra/launcher=joblib']); print(r, sorted(r.log_ids))")
    assert result.stdout == "[3, 4] [1, 2]\n", result.stderr


def test_sweep_with_optuna_returns_the_objectives(actions):
    overrides = ["hydra/sweeper=optuna", "number=choice(3,1)", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1"]
    result = python(actions, f"r = task.sweep({overrides}); print(set(r) <= {{1, 3}}, r.log_ids)")
    assert result.stdout.splitlines()[-1] == "True [1, 2]", result.stderr


def test_run_refuses_a_sweep(actions):
    result = python(actions, "task.run(['number=3,4'])")
    assert "run() takes one value per key, but these overrides make 2 runs; use sweep()" in result.stderr
    assert not (actions.directory / "logs").exists()


def test_exception_of_the_task_is_an_ordinary_exception(actions):
    code = "try: task.run(['action=fail'])\nexcept ZeroDivisionError as error: print('caught', error)"
    result = python(actions, code)
    assert (result.stdout, result.stderr) == ("caught division by zero\n", "")


@pytest.mark.parametrize(
    ("override", "files"),
    [
        ("action=fail", ["<string>", "launcher.py", "main.py", "main.py"]),
        ("nubmer=1", ["<string>", "launcher.py", "launch.py"]),
    ],
)
def test_traceback_leads_from_the_call_to_the_users_code(actions, override, files):
    code = (
        f"import os, traceback\ntry: task.run(['{override}'])\n"
        "except Exception as error: frames = traceback.extract_tb(error.__traceback__)\n"
        "print([os.path.basename(frame.filename) for frame in frames])"
    )
    assert python(actions, code).stdout == f"{files}\n"


def test_place_of_a_failed_instantiation_is_kept(actions):
    stderr = python(actions, "task.run(['action=instantiate'])").stderr
    assert 'return instantiate({"_target_": "operator.truediv"' in stderr
    assert "ZeroDivisionError: division by zero\n" in stderr


def test_exit_of_the_task_is_an_ordinary_exception(actions):
    code = "try: task.run(['action=exit', 'number=3'])\nexcept mlxp.errors.MLXPError as error: print(error, error.code)"
    assert python(actions, code).stdout == "the task called sys.exit(3) 3\n"


def test_wrong_setting_is_an_ordinary_exception(actions):
    code = "try: task.run(['mlxp.use_loger=true'])\nexcept mlxp.errors.InvalidConfigFileError as error: print(error)"
    assert python(actions, code).stdout == "unknown setting mlxp.use_loger; did you mean mlxp.use_logger?\n"


def test_failed_sweep_carries_the_values_of_the_others(actions):
    code = (
        "try: task.sweep(['action=value,fail', 'number=5'])\n"
        "except mlxp.errors.SweepError as error: print(error.results, error.log_ids); print(error)"
    )
    lines = python(actions, code).stdout.splitlines()
    assert lines[:2] == ["[5, None] [1, 2]", "1 of 2 runs failed:"]


def test_command_line_of_the_calling_program_is_left_alone(actions):
    code = "sys.argv = ['prog', '--mine']; task.run(['action=argv']); print(sys.argv)"
    assert python(actions, code).stdout == "['--mine']\n['prog', '--mine']\n"


def test_logging_of_the_calling_program_is_left_alone(actions):
    code = (
        "import logging; logging.basicConfig(level='WARNING', format='mine: %(message)s')\n"
        "logger = logging.getLogger('caller'); task.run(['action=warn']); logger.warning('still here')"
    )
    assert python(actions, code).stderr == "mine: mind the gap\nmine: still here\n"


def test_hydra_that_is_already_initialised_is_left_alone(actions):
    code = (
        "from hydra import initialize, compose\n"
        "from hydra.core.config_store import ConfigStore\n"
        "with initialize('configs', version_base='1.3'):\n"
        "    before = compose('config', return_hydra_config=True).hydra.sweeper, sorted(ConfigStore.instance().repo)\n"
        "    print(task.run(['number=3']))\n"
        "    after = compose('config', return_hydra_config=True).hydra.sweeper, sorted(ConfigStore.instance().repo)\n"
        "    print(before == after, compose('config').seed)\n"
    )
    result = python(actions, code)
    assert result.stdout == "3\nTrue 0\n", result.stderr


def test_task_may_run_another_task(actions):
    code = (
        "from hydra.core.hydra_config import HydraConfig\n"
        "import main\n"
        "def outer(ctx):\n"
        "    inner = task.sweep(['number=3,4', 'action=value'])\n"
        "    return inner, list(HydraConfig.get().overrides.task)\n"
        "main.ACTIONS['outer'] = outer\n"
        "print(task.run(['action=outer']))"
    )
    result = python(actions, code)
    assert result.stdout == "([3, 4], ['action=outer'])\n", result.stderr
    assert actions.statuses() == ["COMPLETE"] * 3


def test_signal_ends_the_calling_program_as_it_would_without_mlxp(actions):
    result = python(actions, "task.run(['action=signal', 'signal=SIGTERM']); print('went on')")
    assert (result.returncode, result.stdout) == (-signal.SIGTERM, "")
    assert actions.statuses() == ["KILLED"]


def test_handlers_are_as_before_after_a_run(actions):
    code = (
        "import signal; names = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1']\n"
        "def handlers(): return [signal.getsignal(getattr(signal, name)) for name in names]\n"
        "before = handlers(); task.run([]); print(handlers() == before)"
    )
    assert python(actions, code).stdout == "True\n"


def test_handler_of_the_calling_program_is_respected(actions):
    code = (
        "import signal; signal.signal(signal.SIGUSR1, lambda *_: print('mine'))\n"
        "task.run(['action=signal', 'signal=SIGUSR1']); print('went on')"
    )
    assert python(actions, code).stdout == "mine\nwent on\n"
    assert actions.statuses() == ["COMPLETE"]


def test_threads_can_run_a_task(actions):
    code = "import threading; t = threading.Thread(target=lambda: print(task.run(['number=6']))); t.start(); t.join()"
    assert python(actions, code).stdout == "6\n"


@pytest.fixture
def notebook(tmp_path):
    """A function that runs cells in a real Jupyter kernel and returns what each printed."""

    def run(*cells):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
        return ["".join(output.get("text", "") for output in cell.outputs) for cell in book.cells]

    return run


CELL = """
import mlxp
@mlxp.launch(config_path="configs")
def task(ctx):
    print("running", ctx.config.get("x"))
    return ctx.config.get("x")
"""


@pytest.mark.filterwarnings("ignore")
def test_task_typed_in_a_notebook_runs_beside_it(notebook, tmp_path):
    printed = notebook(
        CELL, "print(task())", "print(task.run(['+x=3']))", "r = task.sweep(['+x=1,2']); print(r, r.log_ids)"
    )
    assert printed[1:] == ["running None\nNone\n", "running 3\n3\n", "running 1\nrunning 2\n[1, 2] [3, 4]\n"]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["configs", "logs"]


@pytest.mark.filterwarnings("ignore")
def test_streams_of_a_run_in_a_notebook_are_shown_and_copied(notebook, tmp_path):
    printed = notebook(CELL, "task.run(['+x=3', 'mlxp.logger.log_streams_to_file=true']); print('afterwards')")
    assert printed[1] == "running 3\nafterwards\n"
    assert Path(tmp_path, "logs/1/log.stdout").read_text(encoding="utf-8") == "running 3\n"


def test_environment_is_left_alone(actions):
    code = "import os; before = dict(os.environ), os.getcwd(), list(sys.path); task.run([])"
    assert (
        python(actions, f"{code}; print((dict(os.environ), os.getcwd(), list(sys.path)) == before)").stdout == "True\n"
    )
    assert os.path.exists(actions.directory / "logs/1")


RESOLVERS = (
    "import datetime, mlxp\n"
    "from omegaconf import OmegaConf\n"
    "returned = {'pair': (0.9, 0.999), 'set': {1, 2}, 'date': datetime.date(2020, 1, 2)}\n"
    "returned['nested'] = [(1, 2), {'a': (3,)}]\n"
    "returned['list'] = [1, {'a': [2]}]\n"
    "OmegaConf.register_new_resolver('get', lambda name: returned[name])\n"
    "import main; main.ACTIONS['look'] = lambda ctx: ctx.config.x\n"
)


@pytest.mark.parametrize("as_config_dict", ["true", "false"])
@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("pair", [0.9, 0.999]),
        ("set", {1, 2}),
        ("date", dt.date(2020, 1, 2)),
        ("nested", [[1, 2], {"a": [3]}]),
        ("list", [1, {"a": [2]}]),
    ],
)
def test_resolver_may_return_what_omegaconf_does_not_hold(actions, as_config_dict, name, recorded):
    overrides = ["action=look", f"+x=${{get:{name}}}", "+y=${x}", "number=1,2", f"mlxp.as_ConfigDict={as_config_dict}"]
    result = python(actions, f"{RESOLVERS}print(task.sweep({overrides}) == [returned['{name}']] * 2)")
    assert result.stdout.splitlines()[-1] == "True", result.stderr
    assert actions.config()["x"] == actions.config()["y"] == recorded


def test_base_exception_of_the_task_reaches_the_caller(actions):
    code = (
        "def leave(ctx): raise GeneratorExit\n"
        "import main; main.ACTIONS['leave'] = leave\n"
        "try: task.run(['action=leave'])\nexcept GeneratorExit: print('caught')\n"
        "try: task.sweep(['action=leave', 'number=1,2'])\nexcept mlxp.errors.SweepError as error: print(error.log_ids)"
    )
    assert python(actions, code).stdout.splitlines() == ["caught", "[2, 3]"]
