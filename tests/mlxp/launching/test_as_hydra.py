"""What a run of a sweep sees is what Hydra's own sweeper, launcher and composition show it."""

import contextlib
import importlib.util
import logging
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mlxp.launching.run_composer import RunComposer
from mlxp.launching.run_loop import RunLoop

PLAIN = {"composed by Hydra": 2, "plain": 3}
JOB = {"composed by Hydra": 2, "plain": 0}
HYDRA = {"composed by Hydra": 3, "plain": 0}
FOUND_OUT = {"composed by Hydra": 4, "plain": 0}


@pytest.fixture
def task(app, monkeypatch):
    """The task of the program that says what it sees."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    program = app("observed")
    monkeypatch.chdir(program.directory)
    monkeypatch.setenv("SEEN_ELSEWHERE", str(program.directory / "more"))
    spec = importlib.util.spec_from_file_location("observed", program.directory / "main.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "observed", module)
    spec.loader.exec_module(module)
    return module.task


@pytest.fixture
def ways(monkeypatch):
    """How often Hydra composed a run, and how many runs started without ``run_job``."""
    counts = {"composed by Hydra": 0, "plain": 0}

    def counting(owner, method, name):
        original = getattr(owner, method)

        def counted(*arguments):
            counts[name] += 1
            return original(*arguments)

        monkeypatch.setattr(owner, method, counted)

    counting(RunComposer, "_by_hydra", "composed by Hydra")
    counting(RunLoop, "_plain_job", "plain")
    return counts


CASES = {
    "values": ("seed=1,2,3 data.path=/x", PLAIN),
    "as DictConfig": ("seed=1,2,3 mlxp.as_ConfigDict=false", PLAIN),
    "not resolved": ("seed=1,2,3 mlxp.as_ConfigDict=false mlxp.resolve=false", PLAIN),
    "other types": ("lr=null,true,nan,1e-3,'1','a,b','é→',${seed},${hydra:job.num}", PLAIN | {"plain": 9}),
    "range": ("seed=range(3)", PLAIN),
    "lists": ("layers=[1],[2,3],[] data.parts.0=x", PLAIN),
    "dicts": ("derived={x:a},{y:b},{z:1}", PLAIN),
    "dicts beside an interpolation": ("data={path:a},{path:b},{c:1}", FOUND_OUT),
    "new, forced and deleted keys": ("+new.deep=1,2,3 +other={a:1} ++seed=4 ++more.deep=5 ~action", PLAIN),
    "added below an interpolation": ("+same.depth=1,2,3", FOUND_OUT),
    "deleted interpolation": ("seed=1,2,3 ~root", FOUND_OUT),
    "deleted value that is not there": ("seed=1,2,3 ~seed=7", PLAIN | {"plain": 0, "composed by Hydra": 0}),
    "wrong key": ("seed=1,2,3 nubmer=1", PLAIN | {"plain": 0, "composed by Hydra": 0}),
    "group, and a key in it": ("model=large +model.name2=1,2,3 opt=adam", PLAIN),
    "swept group": ("model=small,large,small seed=1", HYDRA),
    "groups with packages, and a list of groups": (
        "+db@source=one +db@target=two +db=[one,two] seed=1,2,3",
        PLAIN,
    ),
    "dict for a group": ("model={units:1},{units:2},{units:3}", HYDRA),
    "deleted group": ("~after name=x seed=1,2,3", PLAIN),
    "experiment": ("+experiment=deep seed=1,2,3", PLAIN),
    "settings of Hydra in an experiment": ("+experiment=moving seed=1,2,3", JOB),
    "structured": (
        """+schema=typed schema.needed=1,2,3 schema.colour=BLUE schema.inner.maybe=4 schema.either=x
        schema.many.0.size=7 +schema.named.b=2""",
        PLAIN,
    ),
    "wrong type": ("+schema=typed schema.needed=1,2,x", PLAIN | {"plain": 0}),
    "frozen": ("+schema=frozen seed=1,2,3", PLAIN),
    "local class": ("+schema=local seed=1,2,3", FOUND_OUT),
    "sweep directory": (
        """seed=1,2,3 lr=1 hydra.sweep.dir=out/${counted_once:} hydra.job.name=mine
        hydra.sweep.subdir=${hydra.job.num}_${hydra.job.override_dirname}
        hydra.job.config.override_dirname.kv_sep=- hydra.job.config.override_dirname.exclude_keys=[lr]""",
        PLAIN,
    ),
    "interpolated name of the job": ("seed=1,2,3 hydra.job.name=mine${seed}", FOUND_OUT),
    "search path": ("hydra.searchpath=[file://HERE/more] +plug=p seed=1,2,3", HYDRA),
    "chdir": ("seed=1,2,3 hydra.job.chdir=true", JOB),
    "env_set": ("seed=1,2,3 +hydra.job.env_set.SEEN_TOO=x${seed}", JOB),
    "env_copy": ("seed=1,2,3 hydra.job.env_copy=[SEEN]", HYDRA | {"composed by Hydra": 6}),
    "output_subdir": ("seed=1,2,3 hydra.output_subdir=.hydra", JOB),
    "job_logging": ("seed=1,2,3 hydra/job_logging=stdout", JOB),
    "hydra_logging": ("seed=1,2,3 hydra/hydra_logging=default", JOB),
    "changed by the task": ("action=change seed=1,2,3", PLAIN),
    "changed by the task, copied": (
        "action=change seed=1,2,3 hydra.job.env_copy=[SEEN]",
        HYDRA | {"composed by Hydra": 6},
    ),
    "moved by the task": ("action=move seed=1,2,3", PLAIN),
    "failure": ("action=fail,none,fail seed=1", PLAIN),
    "callback": ("+hydra.callbacks.note._target_=observed.Note seed=1,2,3", JOB),
    "further directory": ("--config-dir=HERE/more +plug=p seed=1,2,3", PLAIN),
    "mandatory group of another file": ("--config-name=mandatory db=one seed=1,2,3", PLAIN),
    "batches": ("seed=1,2,3,4,5 hydra.sweeper.max_batch_size=2", PLAIN | {"plain": 5}),
    "values in the settings of the sweeper": ("+hydra.sweeper.params={seed:'1,2,3'}", PLAIN),
    "settings of Hydra there": ("+hydra.sweeper.params={hydra.job.name:'a,b,c'}", HYDRA),
    "sweep in a sweep": ("action=sweep seed=1,2,3", {"composed by Hydra": 8, "plain": 12}),
}

FLAGGED = ("further directory", "mandatory group of another file")
FROM_A_SHELL = ("values", "sweep directory", "experiment", "changed by the task")


@pytest.mark.filterwarnings("ignore:(?s).*execution whitelist:UserWarning")  # of Hydra 1.4
@pytest.mark.parametrize(
    ("case", "from_shell"),
    [*((case, False) for case in CASES if case not in FLAGGED), *((case, True) for case in FROM_A_SHELL)],
)
def test_run_sees_what_hydra_shows(case, from_shell, task, ways, monkeypatch):
    overrides, expected = CASES[case][0].replace("HERE", str(Path.cwd())).split(), CASES[case][1]
    monkeypatch.setattr(sys, "argv", ["main.py", *overrides])

    def swept():
        with monkeypatch.context() as changed, contextlib.chdir("."):
            changed.setitem(sys.modules["observed"].calls, "counted", 0)
            changed.setenv("SEEN", "here")
            changed.setattr(sys.modules["observed"], "notes", [])
            try:
                return list(task() if from_shell else task.sweep(overrides))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - which of them is compared
                return [f"{type(error).__name__}: {error}"]

    own = swept()
    is_refused = len(own) == 1  # which the check does, as it composes
    assert ways == expected
    monkeypatch.setattr(RunLoop, "replaces", lambda *_: False)
    monkeypatch.setattr(RunComposer, "expect", lambda *_: None)
    monkeypatch.setattr("mlxp.launching.run_composer._KEPT", 0)
    if not is_refused:
        monkeypatch.setattr("mlxp.launching.launch.check_configuration", lambda *_: None)
        monkeypatch.setattr(RunComposer, "compose_ahead", lambda *_: OmegaConf.create())
    assert own == swept()


@pytest.mark.parametrize("more", [[], ["hydra.job.chdir=true"]], ids=["plain", "by run_job"])
def test_time_in_the_directory_of_a_sweep_is_that_of_its_start(more, task):
    task.sweep(["seed=1,2,3", "hydra.sweep.dir=outs/${now:%H%M%S%f}", "hydra.output_subdir=.hydra", *more])
    assert len(list(Path("outs").iterdir())) == 1


@pytest.mark.parametrize(
    "overrides",
    ["seed=1,2 seed=5", "seed=5 seed=1,2", "model=small,large model=large", "model=large model=small,large seed=1"],
)
def test_last_of_two_overrides_counts_as_in_hydra(overrides, task):
    own = task.sweep(["action=tell", *overrides.split()])
    assert own == task.sweep(["action=tell", *overrides.split(), "hydra/sweeper=basic"])
