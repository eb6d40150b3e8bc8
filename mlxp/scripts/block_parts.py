"""The parts of a block, such as a loop, that surround its runs and that each of their jobs must do by itself."""

from typing import TYPE_CHECKING

from mlxp.running.secrets import is_secret
from mlxp.scripts.assignments import Assignment
from mlxp.scripts.job_words import late_variables
from mlxp.scripts.script import ScriptError

if TYPE_CHECKING:
    from mlxp.scripts.plan import LeftOut, Plan, Step


def block_actions(plan: "Plan", step: "Step") -> tuple[list["LeftOut"], list["LeftOut"]]:
    """Return the commands that the plan left out of a step's block: those before its command, and those after it.

    Raises
    ------
    ScriptError
        If one of them cannot be done by itself.
    """
    times = sorted(one.started[1] for one in plan.steps if one.block == step.block and one.runs is not None)
    earlier = max((time for time in times if time < step.started[1]), default=0)
    later = min((time for time in times if time > step.started[1]), default=1 << 63)
    position = plan.script.commands[step.command].start
    before, after = [], []
    for left in plan.left:
        if left.block != step.block or not earlier < left.time < later:
            continue
        _check_is_plain(plan, left)
        is_before = left.time < step.started[1]
        stands_before = left.action is None or plan.script.actions[left.action].start < position
        if is_before and stands_before:
            before.append(left)
        elif not is_before and not (left.action is not None and stands_before):
            after.append(left)
    return before, after


def _check_is_plain(plan: "Plan", left: "LeftOut") -> None:
    if left.action is None:
        return
    action = plan.script.actions[left.action]
    text = plan.script.text[slice(*action.whole)].decode(errors="replace")
    if action.whole != (action.whole[0], action.end) or action.is_needed or action.takes_input:
        raise ScriptError(
            f"{plan.script.path}, line {action.line}: {text}: it changes what is there, inside a loop, condition or "
            "function around runs, so the job of a single run cannot do it; put it outside, or into the task. "
            "Nothing was submitted"
        )


def assignment_as_written(plan: "Plan", step: "Step", name: str) -> str | None:
    """Return a variable's assignment in a step's block as written in the script, if its value must stay unknown.

    Raises
    ------
    ScriptError
        If the value is a secret, or known only in the job, and the job could not determine it by itself.
    """
    script = plan.script
    found = [one for one in script.assignments if one.name == name]
    _, derived = late_variables(plan)
    local = script.blocks[step.block].assigned if step.block is not None else frozenset()
    must_not_be_written = name in derived or (
        is_secret(name, step.environment.get(name, "")) and not _is_literal(found)
    )
    is_printed = any(one.is_substituted for one in found)
    if (must_not_be_written or is_printed) and len(found) == 1 and not found[0].variables & local:
        return script.text[found[0].start : found[0].end].decode(errors="surrogateescape")
    if not must_not_be_written:
        return None
    line = script.commands[step.command].line
    raise ScriptError(
        f"{script.path}, line {line}: the value of {name}, which is set inside a loop, condition or function, would be "
        f"written into the scripts of the jobs; set it before, as in 'export {name}=$(cat FILE)'. Nothing was submitted"
    )


def _is_literal(found: list[Assignment]) -> bool:
    return bool(found) and not any(one.variables for one in found)
