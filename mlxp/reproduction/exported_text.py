"""The files of an export that are for people and installers: its README, and the requirements of each environment."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlxp.reproduction.exported_run import PROJECT, mapping_at, project_folder
from mlxp.reproduction.names import HIDDEN
from mlxp.running.secrets import MASK
from mlxp.version import __version__

_INDEX_OF_TORCH: Final = "https://download.pytorch.org/whl"
_BUILD: Final = re.compile(r"torch==[^+]+\+(cpu|cu\d+|rocm[\d.]+)")

_START: Final = """\
# {count} of machine-learning experiments

[MLXP](https://github.com/inria-thoth/mlxp) wrote this archive. It holds the runs as plain files, the code that each of
them was made from, and the versions of all packages.

- `logs/`: a folder for each run. `metadata/config.yaml` is its configuration, `metadata/info.yaml` says how it went,
  `metrics/` has a line of JSON for each record, and `artifacts/` what the run saved.
- `logs/.store/`: each state of the code, once, as objects of git.
- `environments/`: the packages of each environment, for pip.
- `ro-crate-metadata.json`: the same facts for programs, as an [RO-Crate](https://w3id.org/ro/crate).

| run | status | code | given on the command line |
| --- | --- | --- | --- |
{table}

All commands start in the folder of this file. In Python, `mlxp.Reader("logs").filter()` is a data frame of the runs.
"""

_ENVIRONMENT: Final = """
## Do {runs} again

With Python {python} (`python3 --version`), in a new environment:

```bash
python3 -m venv .venv{number}
. .venv{number}/bin/activate
pip install -r environments/{packages}.txt
mlxp table
mlxp rerun {ids} --check
```

`mlxp rerun --check` starts each run again, from its own code, and compares all metrics. With
[uv](https://docs.astral.sh/uv), `--env uv` makes and uses the recorded environment, whatever is installed. On another
kind of processor, the last digits of numbers may differ: `--rtol 1e-9` suits double precision, `--rtol 1e-5` single
precision.
"""

_DATA: Final = """
## Data

Files that git ignored are not part of the code. If the runs read some, such as `data/`, put them into a folder
`{project}` here: `{project}/data/`.
"""

_CODE: Final = """
## Look at the code

To have the code of state `{state}` in a folder `code`:

```bash
git init -q {options}code
cp -r logs/.store/objects code/.git/
git -C code read-tree {full}
git -C code checkout-index --all
```
"""


def readme(infos: Mapping[int, Mapping[str, Any]]) -> str:
    """Return the README of an export.

    Parameters
    ----------
    infos
        What each run says in it, by id.
    """
    count = f"{len(infos)} run{'s' * (len(infos) != 1)}"
    table = "\n".join(_row(log_id, info) for log_id, info in infos.items())
    problems = {log_id: problem for log_id, info in infos.items() if (problem := _problem(info))}
    text = _START.format(count=count, table=table)
    environments: dict[str, list[int]] = {}
    for log_id, info in infos.items():
        if log_id not in problems:
            environments.setdefault(mapping_at(info, "environment")["packages"], []).append(log_id)
    for number, (packages, ids) in enumerate(environments.items(), 1):
        runs = "the runs" if len(ids) == len(infos) else f"run{'s' * (len(ids) != 1)} {_listed(ids)}"
        python = ".".join(str(infos[ids[0]].get("python")).split(".")[:2])
        shown = number if len(environments) > 1 else ""
        text += _ENVIRONMENT.format(
            runs=runs, python=python, number=shown, packages=packages, ids=" ".join(map(str, ids))
        )
    if problems:
        text += "\n## What cannot be done again\n\n" + "".join(
            f"- Run {log_id}: {problem}.\n" for log_id, problem in problems.items()
        )
    states = dict.fromkeys(state for info in infos.values() if (state := mapping_at(info, "code").get("state")))
    for state in list(states)[:1]:
        options = "--object-format=sha256 " if len(state) == 64 else ""
        text += _CODE.format(state=state[:12], full=state, options=options) + _DATA.format(project=PROJECT)
    return text


def _row(log_id: int, info: Mapping[str, Any]) -> str:
    overrides = " ".join(str(one) for one in info.get("overrides") or ()).replace("|", "\\|").replace("\n", " ")
    return (
        f"| {log_id} | {info.get('status')} | {str(mapping_at(info, 'code').get('state') or '–')[:12]} | {overrides} |"
    )


def _problem(info: Mapping[str, Any]) -> str | None:
    """Return why a run of the export cannot be done again; None if it can."""
    if not mapping_at(info, "code").get("state"):
        return "its code was not stored"
    if not info.get("command"):
        return "it was called from Python, so no command starts it"
    if not mapping_at(info, "environment").get("packages"):
        return "its packages were not recorded"
    for override in info.get("overrides") or ():
        if hidden := next((word for word in (*HIDDEN, MASK) if word in str(override)), None):
            key = str(override).partition("=")[0]
            return f"{hidden} stands for a value that is not given to others; give it again: `mlxp rerun … {key}=…`"
    return None


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))


def requirements(packages: Mapping[str, Any], info: Mapping[str, Any]) -> str:
    """Return the requirements for pip of an environment.

    Parameters
    ----------
    packages
        What the list of packages in the store says.
    info
        What a run with that environment says.

    Examples
    --------
    >>> listed = [
    ...     "mlxp==2.0.0",
    ...     "mine==0.1 @ file://project",
    ...     "other==0.1 @ file://<path>/other",
    ...     "tool==1.0 @ https://example.org/tool.git@abc1",
    ... ]
    >>> print(requirements({"packages": listed}, {}), end="")
    mlxp==2.0.0
    # mine==0.1 is part of the project: each run takes it from its own code
    # other==0.1 was installed from a folder
    tool @ git+https://example.org/tool.git@abc1
    """
    lines = [str(line) for line in packages.get("packages") or ()]
    builds = dict.fromkeys(found[1] for line in lines if (found := _BUILD.match(line)))
    lines = [_requirement(line) for line in lines]
    if not any(re.match(r"mlxp\b", line) for line in lines):
        lines.append(f"mlxp=={info.get('mlxp_version') or __version__}")
    return "".join(f"{line}\n" for line in [*(f"--extra-index-url {_INDEX_OF_TORCH}/{one}" for one in builds), *lines])


def _requirement(line: str) -> str:
    package, _, origin = line.partition(" @ ")
    url, at, commit = origin.rpartition("@")
    if not origin or package.startswith("mlxp=="):
        return package
    if project_folder(line):
        return f"# {package} is part of the project: each run takes it from its own code"
    if at and re.fullmatch(r"[0-9a-f]{4,64}", commit) and url.startswith("http"):
        return f"{package.partition('==')[0]} @ git+{url}@{commit}"
    return f"# {package} was installed from a folder" if origin.startswith("file:") else f"{package}  # from {origin}"
