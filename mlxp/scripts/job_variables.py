"""The variables that a scheduler gives to a job, and their stand-ins in a plan, where there is no job yet.

A variable that is known at submission has its true value. One that is known only in the job has a value that names
nothing, so that no path made from it exists: see `JobVariables.late`.
"""

import getpass
import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SUBMIT_DIRECTORIES = {
    "SLURM": ("SLURM_SUBMIT_DIR",),
    "SGE": ("SGE_O_WORKDIR", "SGE_CWD_PATH"),
    "OAR": ("OAR_WORKDIR", "OAR_O_WORKDIR", "OAR_WORKING_DIRECTORY"),
    "PBS": ("PBS_O_WORKDIR",),
    "MWM": ("PBS_O_WORKDIR", "MOAB_SUBMITDIR"),
    "LSF": ("LS_SUBCWD", "LSB_OUTDIR"),
}
"""The variables that name the directory from which the user submits."""

SUBMIT_DIRECTORIES["LOCAL"] = tuple(name for names in SUBMIT_DIRECTORIES.values() for name in names)

_PBS: dict[str, object] = {
    "id": {"PBS_JOBID": "{id}.mlxp-plan"},
    "name": ("PBS_JOBNAME", "PBS_QUEUE"),
    "hosts": ("PBS_NODEFILE", "PBS_GPUFILE"),
    "directory": ("PBS_JOBDIR",),
    "numbers": {"PBS_NP": "1", "PBS_NUM_PPN": "1", "PBS_NUM_NODES": "1"},
    "true": {"PBS_ENVIRONMENT": "PBS_BATCH"},
    "of_user": "PBS_O_",
    "unset": ("PBS_ARRAYID", "PBS_ARRAY_INDEX", "PBS_ARRAY_ID"),
}
_SYSTEMS: dict[str, dict[str, object]] = {
    "SLURM": {
        "id": {"SLURM_JOB_ID": "{id}", "SLURM_JOBID": "{id}", "SLURM_TASK_PID": "{id}"},
        "name": ("SLURM_JOB_NAME", "SLURM_JOB_PARTITION", "SLURM_JOB_ACCOUNT", "SLURM_JOB_QOS", "SLURM_CLUSTER_NAME"),
        "nodes": ("SLURM_JOB_NODELIST", "SLURM_NODELIST", "SLURMD_NODENAME"),
        "directory": ("SLURM_TMPDIR",),
        "numbers": {
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_NNODES": "1",
            "SLURM_CPUS_ON_NODE": "1",
            "SLURM_JOB_CPUS_PER_NODE": "1",
            "SLURM_TASKS_PER_NODE": "1",
        },
        "true": {"SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_GTIDS": "0"},
        "unset": (
            "SLURM_RESTART_COUNT",
            "SLURM_ARRAY_JOB_ID",
            "SLURM_ARRAY_TASK_ID",
            "SLURM_ARRAY_TASK_MIN",
            "SLURM_ARRAY_TASK_MAX",
            "SLURM_ARRAY_TASK_STEP",
            "SLURM_ARRAY_TASK_COUNT",
            "SLURM_CPUS_PER_TASK",
            "SLURM_NTASKS",
            "SLURM_NPROCS",
            "SLURM_NTASKS_PER_NODE",
            "SLURM_MEM_PER_NODE",
            "SLURM_MEM_PER_CPU",
            "SLURM_GPUS",
            "SLURM_GPUS_PER_NODE",
            "SLURM_GPUS_PER_TASK",
            "SLURM_GPUS_ON_NODE",
            "SLURM_JOB_GPUS",
            "SLURM_STEP_ID",
            "SLURM_STEP_GPUS",
        ),
    },
    "SGE": {
        "id": {"JOB_ID": "{id}"},
        "name": ("JOB_NAME", "REQUEST", "REQNAME", "QUEUE"),
        "hosts": ("PE_HOSTFILE",),
        "directory": ("SGE_JOB_SPOOL_DIR",),
        "numbers": {"NSLOTS": "1", "NHOSTS": "1", "NQUEUES": "1"},
        "true": {
            "ENVIRONMENT": "BATCH",
            "RESTARTED": "0",
            **dict.fromkeys(("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"), "undefined"),
        },
        "of_user": "SGE_O_",
    },
    "OAR": {
        "id": {"OAR_JOB_ID": "{id}", "OAR_JOBID": "{id}", "OAR_ARRAY_ID": "{id}", "OAR_ARRAYID": "{id}"},
        "name": ("OAR_JOB_NAME", "OAR_PROJECT_NAME"),
        "hosts": (
            "OAR_NODEFILE",
            "OAR_NODE_FILE",
            "OAR_FILE_NODES",
            "OAR_RESOURCE_FILE",
            "OAR_RESOURCE_PROPERTIES_FILE",
        ),
        "numbers": {"OAR_JOB_WALLTIME_SECONDS": "3600"},
        "true": {"OAR_ARRAY_INDEX": "1", "OAR_ARRAYINDEX": "1"},
        "unset": ("OAR_JOB_WALLTIME",),
    },
    "PBS": _PBS,
    "MWM": {
        **_PBS,
        "id": {"PBS_JOBID": "{id}.mlxp-plan", "MOAB_JOBID": "{id}"},
        "unset": ("PBS_ARRAYID", "MOAB_JOBARRAYINDEX"),
    },
    "LSF": {
        "id": {"LSB_JOBID": "{id}", "LSB_BATCH_JID": "{id}"},
        "name": ("LSB_JOBNAME", "LSB_QUEUE"),
        "nodes": ("LSB_HOSTS", "LSB_MCPU_HOSTS"),
        "hosts": ("LSB_DJOB_HOSTFILE",),
        "numbers": {"LSB_DJOB_NUMPROC": "1", "LSB_MAX_NUM_PROCESSORS": "1"},
        "true": {"LSB_JOBINDEX": "0"},
    },
}
"""The variables that each scheduler sets, by kind of value; a job has those in ``unset`` only if asked for."""

_ASKED: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "SLURM": (
        (r"(?:--cpus-per-task[= ]|-c ?)(\d+)", ("SLURM_CPUS_PER_TASK",)),
        (r"(?:--ntasks[= ]|-n ?)(\d+)", ("SLURM_NTASKS", "SLURM_NPROCS")),
        (r"(?:--nodes[= ]|-N ?)(\d+)", ("SLURM_JOB_NUM_NODES", "SLURM_NNODES")),
        (r"--ntasks-per-node[= ](\d+)", ("SLURM_NTASKS_PER_NODE",)),
        (r"(?:--gpus[= ]|-G ?)(?:\w+:)?(\d+)", ("SLURM_GPUS",)),
        (r"--gpus-per-node[= ](?:\w+:)?(\d+)", ("SLURM_GPUS_PER_NODE", "SLURM_GPUS_ON_NODE")),
        (r"--gres[= ]gpu:(?:\w+:)?(\d+)", ("SLURM_GPUS_ON_NODE",)),
    ),
    "SGE": ((r"-pe\s+\S+\s+(\d+)", ("NSLOTS",)),),
    "PBS": (
        (r"ppn=(\d+)", ("PBS_NUM_PPN", "PBS_NP")),
        (r"nodes=(\d+)", ("PBS_NUM_NODES",)),
        (r"ncpus=(\d+)", ("NCPUS", "OMP_NUM_THREADS")),
    ),
    "LSF": ((r"-n\s*(\d+)", ("LSB_DJOB_NUMPROC", "LSB_MAX_NUM_PROCESSORS")),),
}
"""Patterns of numbers that a script asks for, and the variables in which a job finds them."""


@dataclass(frozen=True)
class JobVariables:
    """The part of a job's environment that a plan's environment has.

    Attributes
    ----------
    values
        The value of each variable; None for a variable that a job does not have either.
    late
        The names of the variables that are known only in the job.
    markers
        The stand-in values, each with the name of the variable that it stands for.
    tokens
        The texts by which stand-in values are recognized; they occur nowhere else.
    """

    values: Mapping[str, str | None] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
    markers: Mapping[str, str] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()

    def are_in(self, text: str) -> bool:
        """Tell whether `text` contains something that only the plan has."""
        return any(token in text for token in self.tokens)


def job_variables(scheduler: str, options: Sequence[str], work_dir: str, directory: Path) -> JobVariables:
    """Return the stand-ins for the variables of a scheduler's job.

    Parameters
    ----------
    scheduler
        The scheduler's name; an unknown one has no variables.
    options
        The lines with the script's options.
    work_dir
        The directory from which the script is submitted.
    directory
        A directory of the plan's own, for the job's files and directories.
    """
    system = _SYSTEMS.get(scheduler, {})
    tokens = (str(9 * 10**14 + secrets.randbelow(10**14)), secrets.token_hex(8))
    values: dict[str, str | None] = dict.fromkeys(_words(system, "unset"))
    markers: dict[str, str] = {}
    for make, token in ((_ids, tokens[0]), (_names, tokens[1]), (_hosts, tokens[1]), (_directories, tokens[1])):
        made = make(system, token, directory)
        values |= made
        for name, value in made.items():
            markers.setdefault(value, name)
    late = {*values, *_table(system, "numbers")}
    values |= _table(system, "numbers") | _asked(scheduler, " ".join(options))
    true = {**_table(system, "true"), **_of_user(str(system.get("of_user", "")))}
    true |= dict.fromkeys(SUBMIT_DIRECTORIES.get(scheduler, ()), work_dir)
    if scheduler == "SLURM":
        true |= {"SLURM_SUBMIT_HOST": socket.gethostname(), "SLURM_JOB_USER": _user()}
        true |= {"SLURM_JOB_UID": str(os.getuid()), "SLURM_JOB_GID": str(os.getgid())}
    # `mktemp` also creates files there, and no job has the same ones.
    markers = {value: name for value, name in markers.items() if name != "TMPDIR"}
    return JobVariables(values | true, frozenset(late - true.keys()), markers, tokens)


def _words(system: Mapping[str, object], kind: str) -> tuple[str, ...]:
    found = system.get(kind, ())
    return found if isinstance(found, tuple) else ()


def _table(system: Mapping[str, object], kind: str) -> dict[str, str]:
    found = system.get(kind, {})
    return found if isinstance(found, dict) else {}


def _ids(system: Mapping[str, object], token: str, _: Path) -> dict[str, str]:
    return {name: value.format(id=token) for name, value in _table(system, "id").items()}


def _names(system: Mapping[str, object], token: str, _: Path) -> dict[str, str]:
    found = [*_words(system, "name"), *_words(system, "nodes")]
    return {name: f"mlxp-{name.lower().replace('_', '-')}-{token}" for name in found}


def _hosts(system: Mapping[str, object], token: str, directory: Path) -> dict[str, str]:
    file = directory / f"hosts-{token}"
    names = _words(system, "hosts")
    if names:
        file.write_text(f"{socket.gethostname()}\n", encoding="utf-8")
    return dict.fromkeys(names, str(file))


def _directories(system: Mapping[str, object], token: str, directory: Path) -> dict[str, str]:
    made = {}
    for name in ("TMPDIR", *_words(system, "directory")):
        path = directory / f"{name.lower()}-{token}"
        path.mkdir()
        made[name] = str(path)
    return made


def _asked(scheduler: str, options: str) -> dict[str, str]:
    table = _ASKED.get("PBS" if scheduler == "MWM" else scheduler, ())
    found = [(re.search(rf"(?:^|\s|[:,]){pattern}(?!\S*-)", options), names) for pattern, names in table]
    return {name: match[1] for match, names in found if match for name in names}


def _of_user(prefix: str) -> dict[str, str]:
    if not prefix:
        return {}
    known = {"HOME": "HOME", "LOGNAME": "LOGNAME", "PATH": "PATH", "SHELL": "SHELL", "LANG": "LANG", "MAIL": "MAIL"}
    found = {prefix + name: os.environ[variable] for name, variable in known.items() if variable in os.environ}
    return {**found, prefix + "HOST": socket.gethostname(), prefix + "LOGNAME": _user()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
