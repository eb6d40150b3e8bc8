"""Options for the scheduler that stand after the script on the command line, and their precedence over the script's."""

import shlex
from collections.abc import Iterator, Sequence

from mlxp.errors import InvalidSchedulerError
from mlxp.running.secrets import holds_secret
from mlxp.scheduler import Scheduler

_INSTEAD = {
    "name": "MLXP sets the name of each job; --name names the batch",
    "stdout": "each run prints to log.stdout in its directory",
    "stderr": "each run prints to log.stderr in its directory",
    "array": "submit with --array for an array of all runs",
    "directory": "jobs begin where you submit",
}


def checked_options(words: Sequence[str], scheduler: Scheduler) -> tuple[str, ...]:
    """Return the words of options for a scheduler.

    Raises
    ------
    InvalidSchedulerError
        If a word is no option or value of one, if MLXP sets what an option would set, or if one holds a secret, which
        would be recorded.
    """
    for option, values in _options(words):
        if option is None or len(values) > scheduler.most_option_values or ("=" in option and values):
            raise InvalidSchedulerError(
                f"{values[-1]!r} is not an option of {scheduler.name}; write overrides after ' -- ', as in "
                "`mlxpsub script.sh -- seed=3`"
            )
        text = " ".join([option, *values, ""])
        for what, pattern in scheduler.own_options.items():
            if pattern.match(text):
                raise InvalidSchedulerError(f"{text.strip()}: leave it out, since {_INSTEAD[what]}")
    if holds_secret(shlex.join(words)):
        raise InvalidSchedulerError(
            f"an option for {scheduler.name} holds a secret, which would be recorded; export it, and name only its "
            "variable"
        )
    return tuple(words)


def directives_in_force(
    directives: Sequence[tuple[int, str]], scheduler: Scheduler, words: Sequence[str]
) -> list[tuple[int, str]]:
    """Return the numbered directives of a script without the options that those of the command line replace.

    A scheduler replaces most of them itself. It combines others, or refuses both.

    Examples
    --------
    >>> from mlxp.scheduler import SCHEDULERS
    >>> script = [(2, "#OAR -l core=1,walltime=1"), (3, "#OAR -t besteffort")]
    >>> directives_in_force(script, SCHEDULERS["OAR"], ["-l", "core=4"])
    [(3, '#OAR -t besteffort')]
    """
    given = [" ".join([option or "", *values, ""]) for option, values in _options(words)]
    patterns = [one for one in scheduler.command_line_replaces if any(one.match(text) for text in given)]
    kept = []
    for line, text in directives:
        options = text[len(scheduler.directive) :]
        for pattern in patterns:
            options = pattern.sub("", options)
        if options.strip() or not text[len(scheduler.directive) :].strip():
            kept.append((line, scheduler.directive + options))
    return kept


def _options(words: Sequence[str]) -> Iterator[tuple[str | None, list[str]]]:
    """Yield each option with the words after it, up to the next option."""
    option: str | None = None
    values: list[str] = []
    for word in words:
        if word.startswith("-"):
            if option is not None or values:
                yield option, values
            option, values = word, []
        else:
            values.append(word)
    if option is not None or values:
        yield option, values
