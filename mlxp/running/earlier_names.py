"""Names that the logger had in releases before 1.0: who still writes them is told what to write."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

ATTRIBUTES = {
    "log_artifact": "log_artifacts",
    "load_artifact": "load_artifacts",
    "log_metric": "log_metrics",
    "session_dir": "artifacts_dir",
}
"""What is to be written for each name that is no more."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def had_arguments(**names: str) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Let a function say what its arguments of an earlier release are called now."""

    def decorated(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        @functools.wraps(function)
        def called(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
            for earlier in names.keys() & options.keys():
                raise TypeError(f"{function.__name__} has no argument {earlier}; write {names[earlier]}=")
            return function(*arguments, **options)

        return called

    return decorated
