"""Chooses which runs of a sweep start: all, those that are missing, or none, which are then listed."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mlxp.launching.run_composer import as_in_a_run
from mlxp.launching.starter import RunStarter
from mlxp.launching.sweep_settings import SweepSettings
from mlxp.printing import show
from mlxp.run_directory.layout import next_log_id
from mlxp.running.configuration import Program, resolved_configuration
from mlxp.running.missing_runs import Decision, wanted_run
from mlxp.running.settings import Settings

_MISSING = Decision(False, "")


class Selection:
    """What a launch decides about its runs before the first one starts.

    Parameters
    ----------
    program
        What to run.
    starter
        What starts them.
    """

    def __init__(self, program: Program, starter: RunStarter) -> None:
        self.program = program
        self.starter = starter

    def choose(
        self, sweep: SweepSettings, runs: list[list[str]], composed: Callable[[list[str]], DictConfig]
    ) -> list[int]:
        """Return the numbers of the runs to start.

        Parameters
        ----------
        sweep
            What is asked of the sweep.
        runs
            The overrides of each run.
        composed
            Returns the configuration of the run with some overrides.
        """
        if not (sweep.only_missing or sweep.dry_run):
            return list(range(len(runs)))
        before = HydraConfig.instance().cfg
        try:
            prepared = [self._prepared(composed(run)) for run in runs]
        finally:  # of a run that launches others
            HydraConfig.instance().cfg = before
        decisions = [_MISSING] * len(runs)
        if sweep.only_missing:
            decisions = self.starter.missing.decisions([wanted_run(self.program, *one) for one in prepared])
        if sweep.dry_run:
            show("\n".join(_listed(runs, [_parent(settings) for settings, _, _ in prepared], decisions)))
            self.starter.only_lists = True
            return []
        for number, (run, (settings, _, _), decision) in enumerate(zip(runs, prepared, decisions, strict=True)):
            if decision.is_there:
                self.starter.note_left_out(number, run, settings.logger.parent_log_dir, decision)
        chosen = [number for number, decision in enumerate(decisions) if not decision.is_there]
        self.starter.select(chosen, {number: decisions[number].why for number in chosen})
        return chosen

    def _prepared(self, composed: DictConfig) -> tuple[Settings, Any, Any]:
        config, settings, written = resolved_configuration(self.program, as_in_a_run(composed))
        return settings, written, OmegaConf.to_container(config, resolve=True)


def _parent(settings: Settings) -> Path | None:
    return Path(settings.logger.parent_log_dir) if settings.use_logger else None


def _listed(runs: Sequence[list[str]], parents: Sequence[Path | None], decisions: Sequence[Decision]) -> list[str]:
    """Return a line for each run that would start, with the id that it would get, and for each that would not."""
    ids = {parent: itertools.count(next_log_id(parent)) for parent in set(parents) if parent is not None}
    lines, left_out = [], []
    for run, parent, decision in zip(runs, parents, decisions, strict=True):
        words = " ".join(run)
        if decision.is_there:
            left_out.append(f"  left out, since {decision.why}: {words}".rstrip(": "))
            continue
        log_id = f" {next(ids[parent])}" if parent is not None else ""
        again = f" ({decision.why})" if decision.log_id is not None else ""
        lines.append(f"  run{log_id}: {words}{again}".rstrip(": "))
    return [f"{len(lines)} run{'s' * (len(lines) != 1)}{':' * bool(lines)}", *lines, *left_out]
