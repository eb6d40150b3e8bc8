"""What a program would run: turns what Hydra composed and MLXP checked into a run that can be submitted."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlxp.errors import InvalidConfigFileError
from mlxp.run_directory.files import to_yaml
from mlxp.running.configuration import Program, resolved_configuration, work_dir_of
from mlxp.running.plan_report import VARIABLE, PlannedRun, is_planning

if TYPE_CHECKING:
    from omegaconf import DictConfig


def planned_run(program: Program, overrides: list[str], composed: "DictConfig") -> PlannedRun:
    """Return the run of `program` with these overrides, whose configuration Hydra composed, and which is used up.

    Raises
    ------
    InvalidConfigFileError
        If a setting is wrong, or if the run would have no directory of its own.
    MLXPError
        If the version manager fails.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    if "hydra" in composed:  # values of it are used in the configuration
        HydraConfig.instance().set_config(composed)
    config, settings = resolved_configuration(program, composed, in_place=True)
    config.pop("hydra", None)
    _check_has_directory(settings)
    work_dir, version_manager = _work_dir(settings)
    return PlannedRun(
        overrides=_without_scheduler(overrides) if settings["use_scheduler"] else overrides,
        config=to_yaml(OmegaConf.to_container(config, resolve=True)),
        parent_log_dir=settings["logger"]["parent_log_dir"],
        work_dir=work_dir,
        version_manager=version_manager,
    )


def _check_has_directory(settings: dict[str, Any]) -> None:
    if not settings["use_logger"]:
        raise InvalidConfigFileError("a submitted run needs a logger: set mlxp.use_logger to true")
    if settings["logger"]["forced_log_id"] >= 0:
        raise InvalidConfigFileError(
            "submitted runs get their ids when they are submitted: remove mlxp.logger.forced_log_id"
        )


def _without_scheduler(overrides: list[str]) -> list[str]:
    # In the job's own words, too: a container may hide the variable by which a job knows that it is one.
    kept = [one for one in overrides if not one.lstrip("+~").startswith(("mlxp.use_scheduler", "mlxp.scheduler"))]
    return [*kept, "mlxp.use_scheduler=false"]


def _work_dir(settings: dict[str, Any]) -> tuple[str, Any]:
    if not is_planning():
        return work_dir_of(settings)
    # The answers to the version manager's questions hold for all programs of one script.
    asked = Path(os.environ[VARIABLE]).parent / "asked"
    settings = settings | {"interactive_mode": settings["interactive_mode"] and not asked.exists()}
    found = work_dir_of(settings)
    asked.touch()
    return found
