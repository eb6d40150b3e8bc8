"""What differs between the code of two runs, from the states in the store: no file needs to be there any more."""

from mlxp.errors import MLXPError
from mlxp.reproduction.exported_run import mapping_at
from mlxp.reproduction.store import is_state, reading_git
from mlxp.run_directory.layout import STORE_DIR, RunDirectory
from mlxp.running.private_git import GitError


def state_of(run: RunDirectory) -> str:
    """Return the content address of the code of a run.

    Raises
    ------
    MLXPError
        If it was not stored; the message says why, as far as the run knows.
    """
    code = mapping_at(run.info(), "code")
    state = code.get("state")
    if isinstance(state, str) and is_state(state):
        return state
    reason = code.get("problem") or "it ran with mlxp.capture=false, or in a release that stored no code"
    raise MLXPError(f"the code of run {run.log_id} is not stored: {reason}")


def code_difference(one: RunDirectory, other: RunDirectory) -> str:
    """Return what differs between the code of two runs of a directory, as a unified diff; empty if nothing does.

    Binary files are named only. Names with control characters or quotes in them are quoted.

    Raises
    ------
    MLXPError
        If the code of one of them is not stored.
    """
    states = [state_of(one), state_of(other)]
    if states[0] == states[1]:
        return ""
    prefixes = (f"--src-prefix={one.log_id}/", f"--dst-prefix={other.log_id}/")
    words = ("-p", "-r", "-M", "--no-color", "--no-ext-diff", "--no-textconv", *prefixes)
    store = one.path.absolute().parent / STORE_DIR
    try:
        with reading_git(store, states[0]) as git:
            return git("-c", "core.quotePath=false", "diff-tree", *words, *states)
    except GitError as error:
        raise MLXPError(f"the code of run {one.log_id} or {other.log_id} is not whole in {store}: {error}") from error
