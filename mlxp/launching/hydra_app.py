"""Prepares Hydra for one launch: MLXP's defaults, settings and sweeper are in place only while the launch lasts.

Hydra composes the settings like any other configuration, so that they can be overridden, swept and interpolated.
Nothing is left behind in Hydra's global state: another Hydra program in the same process is not affected.
"""

import contextlib
import copy
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hydra
import omegaconf
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, ListConfig, OmegaConf

from mlxp.launching.sweeper import TARGET, only_reporting, registered
from mlxp.run_directory.layout import SWEEPS_DIR
from mlxp.running.settings import DEFAULTS


def _version(module: ModuleType) -> tuple[int, ...]:
    return tuple(int(part) for part in module.__version__.split(".")[:2])


_HYDRA_VERSION = _version(hydra)

VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if _HYDRA_VERSION < (1, 4) else {}
"""Passed to Hydra's entry points: 1.3 without it behaves as 1.1, and 1.4 deprecates it."""

_STORE_OPTIONS: dict[str, Any] = {"replace": True} if _HYDRA_VERSION >= (1, 4) else {}

_LEAVE_NO_FILES = {
    "hydra/sweeper": ("mlxp",),
    "hydra/launcher": ("basic", "joblib"),
    "hydra/job_logging": ("disabled", "none", "stdout"),
}
"""The choices for which Hydra's directory of a launch holds nothing that anybody needs."""


@contextlib.contextmanager
def prepared(
    launch_directory: Path, base_dir: Path, config_dirs: list[Path], is_planning: bool = False
) -> Iterator[None]:
    """Within this context, Hydra uses MLXP's defaults and sweeper, and composes MLXP's settings.

    Parameters
    ----------
    launch_directory
        Where Hydra's own output of this launch goes, if nobody needs it afterwards.
    base_dir
        The directory that a relative ``parent_log_dir`` starts from.
    config_dirs
        The directories that may hold a file ``mlxp.yaml``.
    is_planning
        Whether runs are only reported, which other sweepers cannot do.
    """
    has_file = any((directory / "mlxp.yaml").is_file() for directory in config_dirs)
    reporting = only_reporting() if is_planning else contextlib.nullcontext()
    with registered(), reporting, _store_restored() as store:
        store.store(group="hydra/sweeper", name="mlxp", node=_sweeper_node(), provider="mlxp", **_STORE_OPTIONS)
        store.store(name="mlxp_defaults", node=_settings_node(), provider="mlxp", **_STORE_OPTIONS)
        node = _hydra_node(store.repo["hydra"]["config.yaml"].node, launch_directory, base_dir, has_file)
        store.store(group="hydra", name="config", node=node, provider="mlxp", **_STORE_OPTIONS)
        yield


@contextlib.contextmanager
def _store_restored() -> Iterator[ConfigStore]:
    """Within this context, three places of Hydra's store may be written to; they are restored afterwards."""
    store = ConfigStore.instance()
    before = dict(store.repo), dict(store.repo["hydra"]), dict(store.repo["hydra"]["sweeper"])
    try:
        yield store
    finally:
        store.repo, store.repo["hydra"], store.repo["hydra"]["sweeper"] = before


def run_main(config_path: str, function: Callable[[DictConfig], Any]) -> None:
    """Let Hydra call `function` as ``sys.argv`` asks."""
    with _unannounced_failures():
        hydra.main(config_path=config_path, config_name="config", **VERSION_BASE)(function)()


@contextlib.contextmanager
def _unannounced_failures() -> Iterator[None]:
    """Within this context, Hydra does not print the overrides of a job, some of them ours, before an exception."""
    announced: property = vars(JobReturn)["return_value"]

    def quiet(result: JobReturn) -> Any:
        with contextlib.redirect_stderr(io.StringIO()):
            return announced.__get__(result)

    setattr(JobReturn, "return_value", property(quiet, announced.fset))  # noqa: B010 - there is no other place
    try:
        yield
    finally:
        setattr(JobReturn, "return_value", announced)  # noqa: B010 - as above


def run_multirun(
    config_path: str, package: str | None, name: str, function: Callable[[DictConfig], Any], overrides: list[str]
) -> None:
    """Let Hydra call `function`, of a program called `name`, for every combination of the overrides."""
    with _initialized(config_path, package, name) as hydra_instance:
        hydra_instance.multirun(
            config_name="config", task_function=function, overrides=overrides, with_log_configuration=False
        )


@contextlib.contextmanager
def _initialized(config_path: str, package: str | None, name: str) -> Iterator[Any]:
    """Within this context, Hydra is initialised for a program called `name`; its earlier state is restored afterwards.

    The configuration lies in the directory `config_path`, or in a Python `package`.
    """
    glob = GlobalHydra.instance()
    before = glob.hydra
    glob.clear()
    try:
        if package is not None:
            hydra.initialize_config_module(package, job_name=name, **VERSION_BASE)
        else:
            hydra.initialize_config_dir(config_path, job_name=name, **VERSION_BASE)
        yield glob.hydra
    finally:
        glob.hydra = before


def _sweeper_node() -> dict[str, Any]:
    return {"_target_": TARGET, "max_batch_size": None, "params": None, "keep_going": True}


def _settings_node() -> DictConfig:
    # Open, so that a wrong name gets our message, which knows the nearest right one, and not Hydra's.
    node = OmegaConf.create(DEFAULTS)
    OmegaConf.set_struct(node, False)
    return node


def _hydra_node(original: DictConfig, launch_directory: Path, base_dir: Path, has_file: bool) -> DictConfig:
    node = copy.deepcopy(original)
    # Logging is the program's: what Hydra calls "disabled" would silence every logger of the process, for good.
    own = {"sweeper": "mlxp", "hydra_logging": "none", "job_logging": "none"}
    added = ["_self_", "/mlxp_defaults@_global_.mlxp", "/mlxp@_global_.mlxp"]
    # A run may launch others: what is added is then already there.
    defaults = [_replaced(item, own) for item in node.defaults if item not in added]
    node.defaults = defaults + (added if has_file else added[:-1])
    node.output_subdir = None
    node.run.dir = node.sweep.dir = f"${{mlxp_launch_dir:{_quoted(launch_directory)},{_quoted(base_dir)}}}"
    return node


def _replaced(item: Any, own: dict[str, str]) -> Any:
    if isinstance(item, DictConfig | dict):
        return {key: own.get(str(key), value) for key, value in item.items()}
    return list(item) if isinstance(item, ListConfig) else item


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return f"'{text}'"


def _launch_dir(launch_directory: str, base_dir: str, *, _root_: DictConfig) -> str:
    """Return where Hydra's plug-ins may leave files: beside the runs, if there is anything to keep or share."""
    config = _root_.hydra
    keeps_files = config.output_subdir is not None or config.job.chdir
    if not keeps_files and all(config.runtime.choices[group] in names for group, names in _LEAVE_NO_FILES.items()):
        return launch_directory
    parent = Path(base_dir, _root_.mlxp.logger.parent_log_dir).expanduser()
    return str(parent / SWEEPS_DIR / Path(launch_directory).name)


def register_resolver() -> None:
    """Register the resolver of Hydra's directories; the processes of a parallel launcher need it, too."""
    # OmegaConf 2.4 gives the old name a new meaning, and deprecates the one of 2.3.
    name = "register_resolver" if _version(omegaconf) >= (2, 4) else "register_new_resolver"
    getattr(OmegaConf, name)("mlxp_launch_dir", _launch_dir, replace=True)


register_resolver()
