"""Starts the runs of a sweep one after another in this process, as Hydra's basic launcher does, and keeps none of them.

Most runs ask Hydra for nothing but a directory and a call of the task. For these the loop does what Hydra's ``run_job``
does, without the copies that ``run_job`` makes for callbacks and files. All others are left to ``run_job``.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core import utils
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, filter_overrides, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, Node, OmegaConf, flag_override, open_dict, read_write

from mlxp.launching.run_composer import RunComposer, sets_up_logging

_BASIC = ("hydra._internal.core_plugins.basic_launcher", "BasicLauncher")

_log = logging.getLogger(_BASIC[0])  # Hydra's own, since a program may show or hide what it says


class RunLoop:
    """A launcher for a sweep in this process.

    Parameters
    ----------
    context, task_function, master
        What Hydra gives to launchers: its own helpers, what to call, the configuration of the whole sweep.
    composer
        Composes the runs.
    """

    def __init__(
        self, context: HydraContext, task_function: TaskFunction, master: DictConfig, composer: RunComposer
    ) -> None:
        self._context = context
        self._task_function = task_function
        self._master = master
        self._composer = composer
        self.has_callbacks = bool(getattr(context.callbacks, "callbacks", True))
        is_restricted = getattr(context, "execution_whitelist", None) is not None
        self._may_be_plain = not self.has_callbacks and not is_restricted and _can_share()

    def replaces(self, launcher: Any) -> bool:
        """Return whether the loop does what `launcher` would do: it is Hydra's basic one, and sets up no logging."""
        node: Any = OmegaConf.to_container(self._master.hydra)
        is_basic = (type(launcher).__module__, type(launcher).__name__) == _BASIC
        return is_basic and not node["verbose"] and not sets_up_logging(node["hydra_logging"])

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Execute the runs and return how each ended."""
        setup_globals()
        Path(str(self._master.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        _log.info("Launching %d jobs locally", len(job_overrides))
        return [self._job(number, overrides) for number, overrides in enumerate(job_overrides, initial_job_idx)]

    def _job(self, number: int, overrides: Sequence[str]) -> JobReturn:
        _log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
        plain = self._composer.to_start(overrides) if self._may_be_plain else None
        if plain is not None:
            return self._plain_job(number, overrides, *plain)
        config = self._composer.load_sweep_config(self._master, overrides)
        _set_number(config, number)
        result = run_job(
            hydra_context=self._context,
            task_function=self._task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        result.cfg = result.hydra_cfg = None  # nobody reads them, and a sweep may have thousands of runs
        return result

    def _plain_job(
        self, number: int, overrides: Sequence[str], config: DictConfig, task_config: DictConfig
    ) -> JobReturn:
        _set_number(config, number)
        before = HydraConfig.instance().cfg
        try:
            HydraConfig.instance().cfg = _sharing(config)
            directory = _output_directory(config)
            OmegaConf.copy_cache(config, task_config)
            Path(directory).mkdir(parents=True, exist_ok=True)
            result = JobReturn(overrides=list(overrides), working_dir=str(Path.cwd()))
            try:
                result.return_value = self._task_function(task_config)
                result.status = JobStatus.COMPLETED
            except Exception as error:  # noqa: BLE001 - as run_job does
                result.return_value = error
                result.status = JobStatus.FAILED
            result.task_name = JobRuntime.instance().get("name")
            utils._flush_loggers()  # noqa: SLF001 - looked for in _can_share
            return result
        finally:
            HydraConfig.instance().cfg = before


def _can_share() -> bool:
    """Whether this version of Hydra and OmegaConf has the private names that a plain job needs, with their meaning."""
    if not (hasattr(Node, "_set_parent") and hasattr(utils, "_flush_loggers")):
        return False
    config = OmegaConf.create({"hydra": {}})
    return _sharing(config).hydra is config.hydra


def _set_number(config: DictConfig, number: int) -> None:
    job = config.hydra.job
    with open_dict(job):
        job.id = str(number)
        job.num = number


def _output_directory(config: DictConfig) -> str:
    """Return the directory of a run, and write it into the configuration."""
    sweep = config.hydra.sweep
    directory = os.path.join(str(sweep.dir), str(sweep.subdir))  # noqa: PTH118 - spelled as Hydra does
    runtime = config.hydra.runtime
    with read_write(runtime), open_dict(runtime):
        runtime.output_dir = os.path.abspath(directory)  # noqa: PTH100 - as above, and without following links
    return directory


def _sharing(config: DictConfig) -> Any:
    """Return what ``HydraConfig`` is to hold: Hydra's part of a configuration, as Hydra does it, but without a copy."""
    node = config.hydra
    OmegaConf.set_readonly(node, True)
    shell = OmegaConf.create({})
    with flag_override(shell, "no_deepcopy_set_nodes", True):
        shell.hydra = node
    node._set_parent(config)  # noqa: SLF001 - looked for in _can_share
    return shell
