"""Promises of the package as a whole."""

import importlib
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mlxp

ROOT = Path(__file__).parents[2]


def python(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.split()


def test_every_public_name_is_there():
    assert all(getattr(mlxp, name) is not None for name in mlxp.__all__)
    assert set(mlxp.__all__) <= set(dir(mlxp))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mlxp' has no attribute 'nothing'"):
        _ = mlxp.nothing


IMPORTABLE = """
mlxp: ConfigDict Context DataFrame DefaultLogger GitVM GroupedDataFrame Logger Reader VersionManager errors launch
mlxp: numbers statistic
mlxp_reader: DataFrame GroupedDataFrame Reader numbers statistic
mlxp.errors: InvalidArtifactError InvalidConfigFileError InvalidKeyError InvalidMapError InvalidSchedulerError
mlxp.errors: InvalidShellPathError JobSubmissionError LogDirectoryError MLXPError MissingFieldError QuerySyntaxError
mlxp.errors: SweepError UnknownSystemError
mlxp.scheduler: LSF MWM OAR PBS SCHEDULERS SGE SLURM Array Name Scheduler register scheduler_named
mlxp.job_state: JobState Phase
mlxp.launcher: Context SweepResults Task instance_from_dict instantiate launch
mlxp.logger: DefaultLogger Logger
mlxp.config_dict: ConfigDict
mlxp.version_manager: GitVM VersionManager
mlxp.reader: Reader
mlxp.parser: DefaultParser Parser
mlxp.data_structures.artifacts: Artifact
mlxp.data_structures.config_dict: ConfigDict
mlxp.data_structures.dataframe: DataFrame GroupedDataFrame
"""
"""What is public, and what MLXP 1 documented: programs, plug-ins and pickles look for these names in these modules."""


def importable():
    for line in IMPORTABLE.split("\n")[1:-1]:
        module, _, names = line.partition(": ")
        yield from ((module, name) for name in names.split())


@pytest.mark.parametrize(("module", "name"), list(importable()))
def test_public_name_stays_where_it_is(module, name):
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("module", sorted({module for module, _ in importable()} - {"mlxp", "mlxp_reader"}))
def test_module_of_a_public_name_is_an_attribute_of_the_package_from_the_start(module):
    assert python(f"import mlxp; print({module}.__name__)") == [module]


@pytest.mark.parametrize("module", ["mlxp", "mlxp_reader", "mlxp.errors"])
def test_list_of_public_names_is_complete(module):
    listed = {name for home, name in importable() if home == module}
    assert set(importlib.import_module(module).__all__) <= listed


def test_results_of_a_sweep_are_pickled_by_the_name_that_they_always_had():
    stored = b"cmlxp.launcher\nSweepResults\n((lI1\na(lI7\natR."
    results = pickle.loads(stored)
    assert (results, results.log_ids) == ([1], [7])
    again = pickle.loads(pickle.dumps(results))
    assert (again, again.log_ids, type(again)) == ([1], [7], mlxp.launcher.SweepResults)


def test_importing_mlxp_loads_neither_hydra_nor_pandas():
    heavy = "{'hydra', 'omegaconf', 'pandas', 'numpy', 'pyarrow', 'yaml', 'dill'}"
    assert python(f"import mlxp, sys; print(*sorted({heavy} & set(sys.modules)))") == []


def test_importing_mlxp_prints_nothing_and_installs_no_handler():
    code = (
        "import signal, atexit\n"
        "def state(): return [signal.getsignal(n) for n in signal.valid_signals()], atexit._ncallbacks()\n"
        "before = state(); import mlxp; assert state() == before"
    )
    assert python(code) == []


def test_launching_loads_no_pandas(app):
    quickstart = app("quickstart")
    with (quickstart.directory / "main.py").open("a", encoding="utf-8") as file:
        file.write("    import sys; print('pandas' in sys.modules, 'numpy' in sys.modules)\n")
    assert quickstart.run().stdout.splitlines()[-1] == "False False"


def test_every_module_opens_with_what_it_is_for():
    for module in pkgutil.walk_packages(mlxp.__path__, "mlxp."):
        assert importlib.import_module(module.name).__doc__, module.name


def test_error_is_also_the_built_in_that_a_caller_would_catch():
    for name in mlxp.errors.__all__:
        error = getattr(mlxp.errors, name)
        assert issubclass(error, mlxp.errors.MLXPError)
        assert str(error("what happened")) == "what happened"
        assert name == "MLXPError" or len(error.__mro__) > len(mlxp.errors.MLXPError.__mro__) + 1
