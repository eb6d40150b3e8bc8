"""Which of several processes this one is, if a launcher such as ``srun`` or ``torchrun`` starts a run many times.

Only the first process writes the run's directory; each of the others writes a file of its own if it fails. A launcher
tells its processes their numbers in environment variables; the innermost launcher counts.
"""

import os

_VARIABLES = (
    ("RANK", "WORLD_SIZE"),  # torchrun, accelerate, deepspeed
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
"""Variables that hold the number of a process and how many there are; either one alone may mean anything."""


def rank() -> int:
    """Return the number of this process among those that its launcher has started; 0 if it is the only one."""
    return _rank_of_ranks()[0]


def ranks() -> int:
    """Return how many processes the launcher has started; 1 if this is the only one."""
    return _rank_of_ranks()[1]


def _rank_of_ranks() -> tuple[int, int]:
    for number, count in _VARIABLES:
        found, total = os.environ.get(number, ""), os.environ.get(count, "")
        if found.isdigit() and total.isdigit() and int(found) < int(total):
            return int(found), int(total)
    return 0, 1
