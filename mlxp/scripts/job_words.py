"""Writes the words of a job's commands, quoted for the shell and with the job's own variables where these matter.

In the plan, a text that occurs nowhere else stands for each variable that has a value only in the job. A word that
depends on such a variable stays as written in the script; where it cannot, the variable replaces the text.
"""

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlxp.running.plan_report import PlannedRun
from mlxp.scripts.assignments import made_of
from mlxp.scripts.plan_step import LEFT_OUT
from mlxp.scripts.script import ScriptError, Word

if TYPE_CHECKING:
    from mlxp.scripts.plan import Plan, Step


def quoted(word: str) -> str:
    """Return a word in the shell's syntax, in the quotes that are easiest to read.

    Examples
    --------
    >>> print(quoted("seed=1"), quoted("x=[1, 2]"), quoted("x='a b'"))
    seed=1 'x=[1, 2]' "x='a b'"
    """
    if "'" in word and not re.search(r'["$`\\!\n]', word):
        return f'"{word}"'
    return shlex.quote(word)


def quoted_for_job(word: str, markers: Mapping[str, str]) -> str:
    r"""Return a word in the shell's syntax, with variables in place of the `markers` that stand for them.

    Examples
    --------
    >>> print(quoted_for_job("out=/scratch/917/$x", {"917": "JOB_ID"}))
    "out=/scratch/${JOB_ID}/\$x"
    """
    parts = _split(word, markers)
    if len(parts) == 1:
        return quoted(word)
    escaped = (re.sub(r'([\\"$`])', r"\\\1", part) for part in parts)
    put_in = (f"${{{markers[part]}}}" if part in markers else text for part, text in zip(parts, escaped, strict=True))
    return f'"{"".join(put_in)}"'


def named(text: str, markers: Mapping[str, str]) -> str:
    """Return a text for people, with the names of variables in place of the `markers` that stand for them."""
    return "".join(f"${markers[part]}" if part in markers else part for part in _split(text, markers))


def _split(text: str, markers: Mapping[str, str]) -> list[str]:
    if not markers:
        return [text]
    return re.split("(" + "|".join(re.escape(one) for one in sorted(markers, key=len, reverse=True)) + ")", text)


def override_texts(plan: "Plan", step: "Step", run: PlannedRun, private: str = "") -> dict[str, str]:
    """Return, for each override of `run`, the text that is written into the script of its job.

    Parameters
    ----------
    private
        The plan's own directory, which no job has.

    Raises
    ------
    ScriptError
        If an override depends on what only the job knows, in a way that cannot be written into a script.
    """
    markers = plan.variables.markers
    texts = {override: quoted_for_job(override, markers) for override in run.overrides}
    local = plan.script.blocks[step.block].assigned if step.block is not None else frozenset()
    for word, arguments in _late_arguments(plan, step):
        found = {one for argument in arguments for one in run.overrides if _key(one) == _key(argument)}
        is_plain = len(arguments) == 1 and len(found) == 1 and not _is_swept(step, arguments[0])
        if is_plain and not word.variables & local:
            texts[found.pop()] = plan.script.text_of(word)
        elif not is_plain or not _is_put_in(plan, word, arguments):
            raise _refusal(plan, step, plan.script.text_of(word))
    for override, text in texts.items():
        if text == quoted_for_job(override, markers) and _is_of_plan(plan, override, private):
            raise _refusal(plan, step, override)
    if _is_of_plan(plan, run.parent_log_dir, private, keep_markers=True):
        raise ScriptError(
            f"{plan.script.path}: the runs' directories would be in a directory that only the job has; "
            "set mlxp.logger.parent_log_dir to one that exists now"
        )
    return texts


def _late_arguments(plan: "Plan", step: "Step") -> Iterator[tuple[Word, list[str]]]:
    """Yield the words with overrides that depend on what only the job knows, and what they expanded to."""
    late, _ = late_variables(plan)
    position, first = 0, (step.program or 0) + 1
    words = [one for group in step.groups for one in group]
    last = {_key(one).lstrip("+"): one for one in [*words, *plan.overrides]}  # of several, the last one counts
    for word, group in zip(plan.script.commands[step.command].words, step.groups, strict=True):
        arguments = group[max(0, first - position) :]
        position += len(group)
        overrides = [one for one in arguments if ("=" in one or one[0] == "~") and last[_key(one).lstrip("+")] == one]
        if overrides and (word.variables & late or any(_is_of_plan(plan, one, "") for one in overrides)):
            yield word, overrides


def late_variables(plan: "Plan") -> tuple[frozenset[str], frozenset[str]]:
    """Return the variables whose values depend on what only the job knows, and those computed from such variables."""
    assignments = plan.script.assignments
    # A script may set such a variable itself, for example in a loop that stands for an array.
    own = {one.name for one in assignments} - {one.name for one in assignments if one.name in one.variables}
    return made_of(plan.variables.late - own, assignments)


def _key(override: str) -> str:
    return override.partition("=")[0]


def _is_swept(step: "Step", argument: str) -> bool:
    return len({one for run in step.runs or [] for one in run.overrides if _key(one) == _key(argument)}) > 1


def _is_put_in(plan: "Plan", word: Word, arguments: list[str]) -> bool:
    """Tell whether a word contains the job's variables unchanged, so that they can be put back."""
    late, derived = late_variables(plan)
    is_plain = not word.is_derived and not word.variables & derived
    has_late = word.variables & late
    return is_plain and (not has_late or any(marker in one for one in arguments for marker in plan.variables.markers))


def _is_of_plan(plan: "Plan", text: str, private: str, *, keep_markers: bool = False) -> bool:
    """Tell whether `text` contains something that only this plan has."""
    markers = plan.variables.markers
    rest = text if keep_markers else "".join(part for part in _split(text, markers) if part not in markers)
    return LEFT_OUT in rest or plan.variables.are_in(rest) or (private != "" and private in rest)


def _refusal(plan: "Plan", step: "Step", what: str) -> ScriptError:
    line = plan.script.commands[step.command].line
    return ScriptError(
        f"{plan.script.path}, line {line}: {what}: only the job knows its value, and the script of a single run cannot "
        "express it; write the variable itself in the command, outside of loops and functions, or "
        "let the task read it from os.environ. Nothing was submitted"
    )


def recorded(plan: "Plan", step: "Step", run: PlannedRun) -> PlannedRun:
    """Return a run whose configuration names the variables that have values only in the job.

    The run's `late` holds the keys whose values the job is free to set.
    """
    import yaml

    markers = plan.variables.markers
    keys = set(run.late) | {_key(one).lstrip("+~") for _, arguments in _late_arguments(plan, step) for one in arguments}
    config = named(run.config, markers)
    if config != run.config or plan.variables.are_in(config):
        keys |= set(
            _keys_with_variables(
                yaml.safe_load(config), (*(f"${name}" for name in markers.values()), *plan.variables.tokens)
            )
        )
    return dataclasses.replace(run, config=config, late=sorted(keys)) if keys else run


def _keys_with_variables(value: Any, names: tuple[str, ...], prefix: str = "") -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, str) and any(name in inner for name in names):
            yield f"{prefix}{key}"
        yield from _keys_with_variables(inner, names, f"{prefix}{key}.")
