"""``@mlxp.launch``: turns a function into a program with Hydra's command line, which Python can call as well.

This is a thin shell around `mlxp.launching`, which finds the configuration, starts Hydra, and reports how the runs
ended. `mlxp.running` holds what happens inside a run.
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from mlxp.launching.config_directory import ConfigDirectory
from mlxp.launching.launch import from_command_line, from_python
from mlxp.launching.outcome import SweepResults
from mlxp.printing import guarded_output
from mlxp.run_directory.import_paths import imported
from mlxp.running.configuration import Context, Program
from mlxp.running.missing_runs import KnownRun
from mlxp.running.plan_report import PlannedRun
from mlxp.running.settings import SchedulerSettings

__all__ = ["Context", "SweepResults", "Task", "instance_from_dict", "instantiate", "launch"]

Value = TypeVar("Value")


def launch(
    config_path: str | os.PathLike[str] = "configs", seeding_function: Callable[[Any], Any] | None = None
) -> Callable[[Callable[[Context], Value]], "Task[Value]"]:
    """Return a decorator that turns a function that takes a `Context` into a program.

    Parameters
    ----------
    config_path
        The directory of ``config.yaml`` and, if you have one, ``mlxp.yaml``, relative to the file that defines the
        function. The directory and an empty ``config.yaml`` are created if they are missing.
    seeding_function
        Called with ``config.seed`` before the function.

    Examples
    --------
    In a file ``main.py``, run by ``python main.py seed=1,2``:

    .. code-block:: python

        import mlxp


        @mlxp.launch(config_path="./configs")
        def my_task(ctx: mlxp.Context) -> None:
            print(ctx.config)


        if __name__ == "__main__":
            my_task()
    """
    if callable(config_path):
        raise TypeError("mlxp.launch takes options before the function: write @mlxp.launch(), with parentheses")

    def decorator(function: Callable[[Context], Value]) -> "Task[Value]":
        return Task(function, os.fspath(config_path), seeding_function)

    return decorator


instantiate = imported
"""The name under which MLXP 1 documented it, like the next one."""


def instance_from_dict(class_name: str, arguments: Mapping[str, Any]) -> Any:
    """Call the class or function at an import path with `arguments`, and return the result.

    Examples
    --------
    >>> instance_from_dict("fractions.Fraction", {"numerator": 1, "denominator": 2})
    Fraction(1, 2)
    """
    return imported(class_name)(**arguments)


class Task(Generic[Value]):
    """A function decorated with `launch`.

    Called without arguments, it acts as a command line program, which reads ``sys.argv``. From Python, start it with
    `run` or `sweep`.
    """

    def __init__(
        self,
        function: Callable[[Context], Value],
        config_path: str,
        seeding_function: Callable[[Any], Any] | None = None,
    ) -> None:
        if not hasattr(inspect.unwrap(function), "__code__"):
            raise TypeError(f"mlxp.launch decorates a function that takes the context, not {function!r}")
        functools.update_wrapper(self, function)
        self.function = function
        self.config_path = config_path
        self.seeding_function = seeding_function

    @property
    def _program(self) -> Program:
        file = Path(inspect.unwrap(self.function).__code__.co_filename)
        namespace = getattr(self.function, "__globals__", {})
        if file.is_file():
            directory = Path(os.path.abspath(file)).parent  # noqa: PTH100 - a symbolic link is where the user sees it
        else:  # a notebook says where it was started; a console, or a program read from a pipe, runs where it is
            directory = Path(namespace.get("_dh", [Path.cwd()])[0])
        return Program(self.function, self.seeding_function, str(file), directory)

    @property
    def _config(self) -> ConfigDirectory:
        return ConfigDirectory(self._program, self.config_path)

    def __call__(self) -> Any:
        """Run what the command line asks for.

        Returns
        -------
        Any
            The task's value; a list of them for a sweep. In a notebook, the value of one run without overrides.

        Raises
        ------
        SystemExit
            If a run failed, with code 1 or the code that a single run exited with.
        """
        if _is_interactive():
            return self.run()
        return from_command_line(self._program, self._config, _submit, _states)

    def run(self, overrides: Sequence[str] = ()) -> Value | None:
        """Run the task once, with the overrides given as on the command line, and return its value.

        Raises
        ------
        Exception
            What the task raised.
        MLXPError
            If a setting is wrong, a value is missing, `overrides` contain a sweep, or the task exits with an error.
        HydraException
            If Hydra cannot compose the configuration.

        Notes
        -----
        Launch from one thread at a time, since Hydra keeps global state.
        """
        results = from_python(self._program, self._config, overrides, _states, one_run_only=True)
        return results[0] if results else None

    def sweep(self, overrides: Sequence[str] = ()) -> SweepResults:
        """Run the task for every combination of the overrides, and return its values in the order of the sweep.

        Raises
        ------
        SweepError
            If a run failed. The other runs have finished, and the error holds their values and ids.
        """
        return from_python(self._program, self._config, overrides, _states, one_run_only=False)


def _submit(runs: Sequence[PlannedRun], settings: SchedulerSettings) -> int:
    """Hand the runs to the scheduler; the modules needed for that are loaded only here."""
    from mlxp.jobs.self_submission import submit_planned

    with guarded_output():
        return submit_planned(runs, settings)


def _states(parent: Path, log_ids: Iterable[int]) -> Mapping[int, KnownRun]:
    """Return the status of runs, whoever executes them; as above."""
    from mlxp.jobs.known_states import known_states

    return known_states(parent, log_ids)


def _is_interactive() -> bool:
    """Whether the command line belongs to a notebook or console rather than to a program run in it."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return False
    return Path(sys.argv[0]).name.startswith(("ipykernel", "ipython", "jupyter", "colab"))
