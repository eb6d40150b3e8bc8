"""Names that the logger used before release 1.0: whoever still writes them is told the present names."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

ATTRIBUTES = {
    "log_artifact": "log_artifacts",
    "load_artifact": "load_artifacts",
    "log_metric": "log_metrics",
    "session_dir": "artifacts_dir",
}
"""What to write instead of each former name."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def had_arguments(**names: str) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Make a function say what the arguments of an earlier release are called now."""

    def decorated(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        @functools.wraps(function)
        def called(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
            for earlier in names.keys() & options.keys():
                raise TypeError(f"{function.__name__} has no argument {earlier}; write {names[earlier]}=")
            return function(*arguments, **options)

        return called

    return decorated
