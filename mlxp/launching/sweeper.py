"""Hydra's sweeper for MLXP: expands the overrides into runs, checks them all, then gives them to the launcher.

Unlike Hydra's basic sweeper, it goes on when a run fails, leaves no file behind, and keeps what the runs returned. It
is registered only during a launch, so that other programs in the environment do not see it.
"""

import contextlib
import importlib
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from mlxp.errors import MLXPError
from mlxp.launching.combinations import combinations
from mlxp.launching.left_out import composed_each, remaining
from mlxp.launching.run_composer import RunComposer
from mlxp.launching.run_loop import RunLoop
from mlxp.launching.starter import RunExitedError
from mlxp.launching.sweep_settings import SweepSettings, without_sweep_settings
from mlxp.running.configuration import uses_scheduler
from mlxp.running.endings import from_user_code

TARGET = "hydra_plugins.mlxp.MLXPSweeper"
"""The name by which Hydra knows the sweeper; Hydra 1.3 takes no sweeper from outside ``hydra_plugins``."""


def all_of_them(_: SweepSettings, runs: list[list[str]], __: Callable[[list[str]], Any]) -> list[int]:
    """Return the numbers of all runs."""
    return list(range(len(runs)))


@dataclass
class Launching:
    """What the launching code and the sweeper tell each other; there is one per launch."""

    check: Callable[[DictConfig], tuple[str, int] | None]
    """Raises an MLXPError if a composed configuration cannot be run; returns which run directory it chooses, if any."""
    on_planned: Callable[[int, bool, bool], None]
    """Called before the first run starts, with the number of runs, whether to go on when one fails, and whether a run
    may change the configuration that it gets, since nobody else sees it."""
    one_run_only: bool = False
    results: list[JobReturn] = field(default_factory=list)
    report: Callable[[list[str], Any, SweepSettings], None] | None = None
    """Called with the overrides and the configuration of each run that is submitted instead of started."""
    choose: Callable[[SweepSettings, list[list[str]], Callable[[list[str]], Any]], list[int]] = all_of_them
    """Returns the numbers of the runs to start; called with their overrides, and with what composes one."""
    is_planning: bool = False
    """Whether all runs are reported, whatever their settings say."""

    def only_reports(self, composed: DictConfig) -> bool:
        """Whether the runs of this configuration are reported instead of started."""
        return self.is_planning or (self.report is not None and uses_scheduler(composed))


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """Within this context, Hydra knows the sweeper.

    Hydra 1.3 takes sweepers only from the package ``hydra_plugins``. This one is put there for a moment. If it were
    installed there, every program in the environment that uses Hydra would import it.
    """
    Plugins.instance().register(MLXPSweeper)
    try:
        package = importlib.import_module("hydra_plugins")
    except ModuleNotFoundError:  # no other plug-in is installed
        package = sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
    before = getattr(package, "mlxp", None)
    package.mlxp = SimpleNamespace(MLXPSweeper=MLXPSweeper)  # type: ignore[attr-defined] # see above
    try:
        yield
    finally:
        if before is None:
            del package.mlxp
        else:  # this launch was started by a run of another one
            package.mlxp = before  # type: ignore[attr-defined]


@contextlib.contextmanager
def only_reporting() -> Iterator[None]:
    """Within this context, runs are only reported, and Hydra accepts no sweeper that needs their results."""
    plugins = Plugins.instance()
    plugins.instantiate_sweeper = _reporting_sweeper  # type: ignore[method-assign] # there is no other place to ask
    try:
        yield
    finally:
        del plugins.instantiate_sweeper


def _reporting_sweeper(*, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> Sweeper:
    chosen = config.hydra.runtime.choices["hydra/sweeper"]
    if chosen not in {"mlxp", "basic"}:
        raise CompactHydraException(
            f"hydra/sweeper={chosen} chooses each run by the results of earlier ones, so its runs cannot be "
            "submitted all at once: give the values to try, as in optimizer.lr=1,2, and leave the sweeper out; or "
            f"start the program without mlxpsub, as with hydra/sweeper={chosen} hydra/launcher=submitit_slurm"
        )
    sweeper = MLXPSweeper(params=config.hydra.sweeper.params)
    sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)
    return sweeper


_plans: list[Launching] = []
"""The plans of the launches under way in this process, innermost last."""


@contextlib.contextmanager
def planned(plan: Launching) -> Iterator[None]:
    """Within this context, the sweeper follows `plan`."""
    _plans.append(plan)
    try:
        yield
    finally:
        _plans.remove(plan)


class MLXPSweeper(Sweeper):
    """Runs every combination of the swept values, in Hydra's order: the last key varies fastest.

    Parameters
    ----------
    max_batch_size
        How many runs are given to the launcher at a time; by default all.
    params
        Sweeps by key, in the form of the command line, which takes precedence.
    keep_going
        Whether the other runs start after one has failed.
    """

    __module__ = "hydra_plugins.mlxp"  # where Hydra 1.3 wants it to be

    def __init__(
        self, max_batch_size: int | None = None, params: dict[str, str] | None = None, keep_going: bool = True
    ) -> None:
        super().__init__()
        self.max_batch_size = max_batch_size
        self.params = params or {}
        self.keep_going = keep_going

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `sweep` needs; called by Hydra."""
        self._composed = config
        self._composer = RunComposer(hydra_context.config_loader, config)
        loader: Any = self._composer
        context = replace(hydra_context, config_loader=loader)
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config
        )
        self._loop = RunLoop(context, task_function, config, self._composer)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run all combinations and return what Hydra's launcher returned, batch by batch; called by Hydra."""
        plan = _plans[-1]
        try:
            settings = SweepSettings.of(self._composed)
            runs = self._combinations(arguments, settings)
            self._check(runs, plan, settings, is_composed=runs == [list(arguments)])
            if plan.only_reports(self._composed):
                return []
            chosen = [runs[number] for number in plan.choose(settings, runs, self._composer.compose_ahead)]
            in_loop = len(chosen) > 1 and self._loop.replaces(self._launcher)
            plan.on_planned(len(runs), self.keep_going, in_loop and not self._loop.has_callbacks)
        except MLXPError as error:
            raise CompactHydraException(str(error)) from error
        returns = self._started(chosen, plan, self._loop if in_loop else self._launcher)
        if len(runs) == len(chosen) == 1:
            _raise_failure(plan.results[0])
        return returns

    def _started(
        self, runs: list[list[str]], plan: Launching, launcher: Launcher | RunLoop
    ) -> list[Sequence[JobReturn]]:
        size = self.max_batch_size or max(len(runs), 1)
        returns = []
        for start in range(0, len(runs), size):
            batch = launcher.launch(runs[start : start + size], initial_job_idx=start)
            for result in batch:
                result.cfg = result.hydra_cfg = None  # nobody reads them, and a sweep may have thousands of runs
            plan.results.extend(batch)
            returns.append(batch)
        return returns

    def _combinations(self, arguments: list[str], settings: SweepSettings) -> list[list[str]]:
        loader: Any = self._composer
        parser = OverridesParser.create(config_loader=loader)
        own = parser.parse_overrides([f"{key}={value}" for key, value in self.params.items()])
        given = without_sweep_settings(parser.parse_overrides(arguments))
        runs = combinations(own, given, settings.zip)
        self._composer.expect(runs)
        return remaining(runs, settings.skip, self._composer) if settings.skip else runs

    def _check(self, runs: list[list[str]], plan: Launching, settings: SweepSettings, *, is_composed: bool) -> None:
        """Compose and check the configuration of each run before any starts; Hydra may have composed it already."""
        if not runs:
            raise MLXPError("there is nothing to run: one of the overrides has no value at all")
        if plan.one_run_only and len(runs) > 1:
            raise MLXPError(f"run() takes one value per key, but these overrides make {len(runs)} runs; use sweep()")
        if plan.report is not None and plan.only_reports(self._composed):
            for run in runs:
                plan.report(run, self._composer.compose_ahead(run), settings)
        elif is_composed:
            plan.check(self._composed)
        else:
            configurations = composed_each(runs, self._composer)
            _refuse_shared_directory([plan.check(configuration) for configuration in configurations])


def _refuse_shared_directory(chosen: list[tuple[str, int] | None]) -> None:
    for place, times in Counter(chosen).items():
        if place is not None and times > 1:
            raise MLXPError(
                f"mlxp.logger.forced_log_id={place[1]} is the directory of one run, but there are {times} runs; "
                "resume runs one by one"
            )


def _raise_failure(result: JobReturn) -> None:
    """Raise what a single run raised, so that it becomes the program's exception or exit code."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # Hydra announces the error, which speaks for itself
            _ = result.return_value
    except RunExitedError as error:
        raise SystemExit(error.code) from None
    except Exception as error:
        # What keeps a run from starting needs no traceback.
        is_refused = isinstance(error, CompactHydraException) and isinstance(error.__cause__, MLXPError)
        error.__traceback__ = None if is_refused else _without_launching(error.__traceback__)
        raise


def _without_launching(trace: TracebackType | None) -> TracebackType | None:
    """Drop the frames between user code and Hydra's frame of the job, where Hydra cuts off its part of a traceback."""
    user = from_user_code(trace)
    job, frame = None, trace
    while frame is not user and frame is not None:
        if frame.tb_frame.f_code.co_name in {"run_job", "_run_job"}:  # Hydra 1.3 and 1.4
            job = frame
        frame = frame.tb_next
    return TracebackType(user, job.tb_frame, job.tb_lasti, job.tb_lineno) if job is not None else trace
