"""Which of several processes this one is, where a launcher such as ``srun`` or ``torchrun`` starts a run many times.

Only the first one writes the run's directory. Each launcher tells its processes in environment variables; the innermost
one counts.
"""

import os

_VARIABLES = (
    ("RANK", "WORLD_SIZE"),  # torchrun, accelerate, deepspeed
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
"""Variables that hold a process's number and how many there are; one alone may mean anything."""


def rank() -> int:
    """Return the number of this process among those that its launcher has started; 0 if it is the only one."""
    for number, count in _VARIABLES:
        found, total = os.environ.get(number, ""), os.environ.get(count, "")
        if found.isdigit() and total.isdigit() and int(found) < int(total):
            return int(found)
    return 0
