"""What a rerun needs: the run's code, its command, and an environment that is the same in what matters."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mlxp.errors import MLXPError
from mlxp.reproduction.exported_run import LOGS, project_folder
from mlxp.reproduction.made_environment import made_environment
from mlxp.reproduction.names import HIDDEN
from mlxp.run_directory.layout import STORE_DIR, RunDirectory
from mlxp.run_directory.ranks import RANKS
from mlxp.running.code_state import CodeState
from mlxp.running.copies import Copy, copy_of, not_stored_since, python_path_inside
from mlxp.running.environment import environment, modules_of, packages_of
from mlxp.running.installed import same_name
from mlxp.running.repeated_run import RERUN_OF
from mlxp.running.secrets import MASK
from mlxp.running.submitted_run import RUN_VARIABLE


@dataclass(frozen=True, slots=True)
class Rerun:
    """How to rerun a run.

    Attributes
    ----------
    source
        The directory of the run.
    copy
        The copy of its code.
    words
        The command.
    directory
        The directory to start it in, inside the copy of the code.
    variables
        The variables that its environment has in addition to ours.
    differences
        Differences of the environment that may matter, as sentences; they are a reason to refuse.
    remarks
        What may change the last digits of numbers, and what is not here, as sentences.
    """

    source: RunDirectory
    copy: Copy
    words: list[str]
    directory: Path
    variables: dict[str, str]
    differences: list[str]
    remarks: list[str]

    @property
    def has_own_environment(self) -> bool:
        """Whether it has another environment than this process."""
        return self.words[0] != sys.executable

    def moved(self, word: str) -> str:
        """Return an absolute path inside the run's code as the same path inside the copy; anything else as it is."""
        return self.copy.moved(word)

    def environment_in(self, directory: RunDirectory) -> dict[str, str]:
        """Return the environment in which the command does the run in `directory`."""
        return {
            **os.environ,
            **self.variables,
            RERUN_OF: str(self.source.path),
            RUN_VARIABLE: str(directory.path),
        }


def rerun_of(source: RunDirectory, overrides: Sequence[str] = ()) -> Rerun:
    """Return how to rerun a run, after making a copy of its code.

    Parameters
    ----------
    source
        The directory of the run; an absolute path.
    overrides
        What to change in the rerun, as on the command line.

    Raises
    ------
    MLXPError
        If its command is unknown, if its code is not stored, or if something that it needs was masked or is not here.
    """
    info = source.info()
    name = f"run {source.log_id} in {source.path.parent}"
    command = info.get("command")
    if not isinstance(command, list) or not command:
        raise MLXPError(
            f"{name} does not say how it was started: it was called from Python, "
            "or recorded by another tool or a release before 2.0; start it again as it was started then"
        )
    given = _repeated(name, source, overrides)
    store = source.path.parent / STORE_DIR
    state, places = _state_of(name, info, source)
    path = copy_of(store, state, [source.path.parent])
    copies = [Copy(place, path) for place in places]
    work_dir = str(_at(source, info.get("work_dir") or state.top))
    differences, remarks = _differences(info, store)
    planned = Rerun(
        source=source,
        copy=Copy(state.top, path),
        words=[sys.executable, *(_moved(_found(word, work_dir), copies) for word in command[1:]), *given, *overrides],
        directory=Path(_moved(work_dir, copies)),
        variables=Copy(state.top, path).variables(
            [*python_path_inside(state.top), *_project_roots(info, store, copies[-1])]
        ),
        differences=differences,
        remarks=[*_processes(info), *_absent(state.top, [*given, *overrides], info), *remarks],
    )
    _check_places(name, planned, [path / one for one in (info.get("code") or {}).get("left_out") or []])
    return planned


def in_its_environment(planned: Rerun) -> Rerun:
    """Return the same rerun in the environment that the run had, which uv makes if it is not there.

    Raises
    ------
    MLXPError
        If it cannot be made.
    """
    info = planned.source.info()
    address = str((info.get("environment") or {}).get("packages"))
    code = planned.copy.of, planned.copy.path
    python = made_environment(planned.source.path.parent, address, str(info.get("python")), code)
    variables = {
        **planned.variables,
        "VIRTUAL_ENV": str(python.parents[1]),
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", "")]),
    }
    remarks = [remark for remark in planned.remarks if _OTHERS not in remark]
    words = [str(python), *planned.words[1:]]
    return replace(planned, words=words, variables=variables, differences=[], remarks=remarks)


def _check_places(name: str, planned: Rerun, left_out: Sequence[Path]) -> None:
    """Refuse what cannot start, since a file or a folder is not here: the runs may come from another computer."""
    if not planned.directory.is_dir():
        raise MLXPError(f"{name} was started in {planned.directory}, which is not here")
    for word in planned.words[1:]:
        if word.endswith(".py") and os.path.isabs(word) and not Path(word).exists():  # noqa: PTH117 - any text
            raise MLXPError(f"{name} executed {word}, which is neither in its code nor here")
        if Path(os.path.normpath(planned.directory / word)) in left_out:
            raise MLXPError(f"{name} executed {not_stored_since([word])}")


def _processes(info: dict[str, Any]) -> list[str]:
    """Return what is different without the launcher that started the run, as sentences."""
    count = info.get(RANKS)
    is_one = not isinstance(count, int) or count <= 1
    return [] if is_one else [f"it was executed by {count} processes, and is by one unless --submit uses its script"]


def _absent(top: Path, overrides: Iterable[str], info: dict[str, Any]) -> list[str]:
    """Return what the run may miss here, as sentences."""
    told = [] if top.is_dir() else [f"{top} is not here, so files that git ignored there, such as data, are missing"]
    if top.is_dir():
        return told
    left_out = shortened([str(one) for one in (info.get("code") or {}).get("left_out") or []])
    told += [f"{', '.join(left_out)} were not stored with the code"] if left_out else []
    values = [one.partition("=")[2] for one in overrides]
    return told + [f"{value} is not here" for value in values if value.startswith("/") and not Path(value).exists()]


def _repeated(name: str, source: RunDirectory, overrides: Sequence[str]) -> list[str]:
    """Return the overrides of the run that still apply beside the new ones."""
    given = [str(one) for one in source.info().get("overrides") or []]
    new = {_key(one) for one in overrides}
    repeated = [one.replace(LOGS, str(source.path.parent)) for one in given if _key(one) not in new]
    for one in repeated:
        if MASK in one:
            raise MLXPError(f"{name} was given a secret, which was not recorded: {one}; give it again: {_key(one)}=…")
        if any(word in one for word in HIDDEN):
            raise MLXPError(f"{name} was exported without a name or path: {one}; give it again: {_key(one)}=…")
    return repeated


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _state_of(name: str, info: dict[str, Any], source: RunDirectory) -> tuple[CodeState, list[Path]]:
    """Return the state of a run's code, and where its files were: in its top, or in a copy if it was itself a rerun."""
    known = info.get("code") or {}
    if not isinstance(known.get("state"), str):
        problem = known.get("problem") or "it ran with mlxp.capture=false, or in a release that stored no code"
        raise MLXPError(f"the code of {name} is not stored: {problem}")
    top = _at(source, known["top"])
    state = CodeState(top, known["state"], (info.get("git") or {}).get("commit"))
    return state, [*([Path(known["copy"])] if known.get("copy") else []), top]


def _at(source: RunDirectory, path: str | Path) -> Path:
    """Return a recorded path as an absolute one; in an exported run, it starts at the directory of the runs."""
    return Path(os.path.normpath(source.path.parent / path))


def _moved(word: str, copies: Iterable[Copy]) -> str:
    """Return a path inside one of the copied places as the same path inside the copy; anything else as it is."""
    return next((moved for copy in copies if (moved := copy.moved(word)) != word), word)


def _found(word: str, work_dir: str) -> str:
    """Return the absolute path of a program that was given relative to the directory of its start, as a word that is.

    Examples
    --------
    >>> _found("main.py", "/"), _found("../usr/bin/env", "/usr")
    ('main.py', '/usr/bin/env')
    """
    path = os.path.normpath(os.path.join(work_dir, word))  # noqa: PTH118 - any text
    return path if word.startswith("../") and Path(path).is_file() else word


def _project_roots(info: dict[str, Any], store: Path, copy: Copy) -> Iterable[str]:
    """Yield where the packages are that an exported run had installed from its own project."""
    address = (info.get("environment") or {}).get("packages")
    for folder in filter(None, map(project_folder, packages_of(store, str(address)))):
        yield from (str(copy.of / root) for root in (f"{folder}/src", folder) if (copy.path / root).is_dir())


_OTHERS: Final = "of the packages that it did not import, these have other versions:"
_HARDWARE: Final = ("cpu", "cpus", "gpus", "gpu_driver", "variables")


def _differences(info: dict[str, Any], store: Path) -> tuple[list[str], list[str]]:
    """Return the differences in Python and in the packages that the run imported, and all other differences."""
    recorded = info.get("environment") if isinstance(info.get("environment"), dict) else {}
    if not recorded:
        return [], ["the environment of the run was not recorded"]
    now = environment(store)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    is_same = str(info.get("python")).startswith(f"{python}.")
    differences = [] if is_same else [f"Python was {info.get('python')} and is {python}"]
    then, current = (_versions(packages_of(store, str(one.get("packages")))) for one in (recorded, now))
    imported = _imported(info, modules_of(store, str(recorded.get("packages"))))
    changed = {
        name: f"{name} was {version} and is {current.get(name) or 'not installed'}"
        for name, version in then.items()
        if version != current.get(name)
    }
    differences += [sentence for name, sentence in changed.items() if name in imported]
    others = shortened([name for name in changed if name not in imported])
    remarks = [f"{_OTHERS} {', '.join(others)}"] if others else []
    remarks += differing(recorded, now, _HARDWARE)
    return differences, [f"the last digits of numbers may differ: {remark}" for remark in remarks]


def shortened(words: list[str], most: int = 5) -> list[str]:
    """Return the first of some words, and how many are left out.

    Examples
    --------
    >>> shortened(["a", "b", "c"], most=2)
    ['a', 'b', 'and 1 more']
    """
    return words if len(words) <= most else [*words[:most], f"and {len(words) - most} more"]


def differing(then: Mapping[str, Any], now: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return what differs between the environments of two runs, as sentences; what neither recorded does not."""
    return [
        f"{name} was {then[name]} and is {now.get(name)}"
        for name in names
        if then.get(name) and then[name] != now.get(name)
    ]


def _versions(packages: Iterable[str]) -> dict[str, str]:
    # Those of an exported run's own project come with its code.
    found = (line.partition("==") for line in packages if not project_folder(line))
    # From which folder a package was installed says nothing about it, and is another one for everybody.
    return {same_name(name): version.partition(" @ file:")[0] for name, _, version in found}


def _imported(info: dict[str, Any], modules: Mapping[str, str]) -> set[str]:
    """Return the packages that the run imported, by the names under which they were installed."""
    names = {str(line).partition("==")[0] for line in info.get("packages") or []}
    return {same_name(modules.get(name, name)) for name in names}
