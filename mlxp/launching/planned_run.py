"""What a program would run: turns configurations that Hydra composed and MLXP checked into runs to submit."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlxp.errors import InvalidConfigFileError
from mlxp.run_directory.files import to_yaml
from mlxp.run_directory.identity import differing
from mlxp.running.code_state import top_of
from mlxp.running.configuration import Program, WorkDir, recorded, resolved_configuration, work_dir_of
from mlxp.running.copies import python_path_inside
from mlxp.running.plan_report import PLAN_VARIABLE, PlannedRun, is_planning
from mlxp.running.recorded_configuration import keys_of_the_process
from mlxp.running.repeated_run import repeated_run
from mlxp.running.settings import SchedulerSettings, Settings

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mlxp.launching.sweep_settings import SweepSettings


class PlannedRuns:
    """The runs of one command line, which are reported or submitted together instead of started.

    Attributes
    ----------
    runs
        The runs, in the order of the sweep.
    scheduler
        How to submit them.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.runs: list[PlannedRun] = []
        self.scheduler = SchedulerSettings()

    def add(self, overrides: list[str], composed: "DictConfig", sweep: "SweepSettings") -> None:
        """Add the run with these overrides and the configuration that Hydra composed for it.

        Raises
        ------
        InvalidConfigFileError
            If a setting is wrong, if the run would have no directory of its own, or if it is to be submitted
            differently from the runs before it.
        """
        run, settings = _planned_run(self.program, overrides, composed)
        if self.runs and settings.scheduler != self.scheduler and not is_planning():
            raise InvalidConfigFileError(
                "the settings under mlxp.scheduler differ between the runs of this command line, which are submitted "
                "together; give each one value, and start the program once for each of them"
            )
        self.scheduler = settings.scheduler
        self.runs.append(replace(run, only_missing=sweep.only_missing, dry_run=sweep.dry_run))


def _planned_run(program: Program, overrides: list[str], composed: "DictConfig") -> tuple[PlannedRun, Settings]:
    """Return a run that can be submitted, and its settings; the composed configuration cannot be used afterwards."""
    from omegaconf import OmegaConf

    from mlxp.launching.run_composer import as_in_a_run

    repeated = repeated_run(overrides)
    composed = as_in_a_run(composed) if repeated is None else repeated.composed(as_in_a_run(composed))
    config, settings, written = resolved_configuration(program, composed, in_place=True)
    _check_has_directory(settings)
    where = _work_dir(settings, program)
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    kept = recorded(written, resolved)
    run = PlannedRun(
        overrides=_without_scheduler(overrides) if settings.use_scheduler else overrides,
        config=to_yaml(kept),
        parent_log_dir=settings.logger.parent_log_dir,
        work_dir=where.path,
        version_manager=where.version_manager,
        late=_late_keys(written),
        directory=str(program.directory),
        python_path=[path for path in python_path_inside(top_of(program.directory)) if not _is_guard(path)],
        capture=settings.capture,
        dirty=settings.version_manager.dirty,
        code=where.code,
        program=program.path,
        identity=settings.identity.to_dict(),
        secret=differing(resolved, kept),
        requeue=settings.requeue,
        batch=settings.batch,
    )
    return run, settings


def _is_guard(path: str) -> bool:
    """Tell whether Python looks in a directory only since it is being watched."""
    return Path(path).parts[-2:] == ("scripts", "guard")


def _late_keys(written: dict[str, Any]) -> list[str]:
    """Return the keys whose values are known only when the run starts."""
    return sorted(keys_of_the_process(written))


def _check_has_directory(settings: Settings) -> None:
    if not settings.use_logger:
        raise InvalidConfigFileError("a submitted run needs a logger: set mlxp.use_logger to true")
    if settings.logger.forced_log_id >= 0:
        raise InvalidConfigFileError(
            "submitted runs get their ids when they are submitted: remove mlxp.logger.forced_log_id"
        )


def _without_scheduler(overrides: list[str]) -> list[str]:
    # In the job's own words, too: a container may hide the variable by which a job knows that it is one.
    kept = [one for one in overrides if not one.lstrip("+~").startswith(("mlxp.use_scheduler", "mlxp.scheduler"))]
    return [*kept, "mlxp.use_scheduler=false"]


def _work_dir(settings: Settings, program: Program) -> WorkDir:
    if not is_planning():
        return work_dir_of(settings, program)
    # The answers to the version manager's questions hold for all programs of one script.
    asked = Path(os.environ[PLAN_VARIABLE]).parent / "asked"
    found = work_dir_of(replace(settings, interactive_mode=settings.interactive_mode and not asked.exists()), program)
    asked.touch()
    return found
