"""Names that earlier releases had: whoever still writes them is told what to write now."""

import functools
from collections.abc import Callable
from typing import NoReturn, ParamSpec, TypeVar

ATTRIBUTES = {
    "log_artifact": "log_artifacts",
    "load_artifact": "load_artifacts",
    "log_metric": "log_metrics",
    "session_dir": "artifacts_dir",
}
"""What to write instead of names that the logger had before release 1.0."""

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


def removed(**advice: str) -> Callable[[str], NoReturn]:
    """Return a ``__getattr__`` for a module that tells what to write instead of names that MLXP 1 had there.

    It raises ImportError for these names: of an AttributeError, ``from module import name`` would not show the text.
    """

    def tell(name: str) -> NoReturn:
        if name in advice:
            raise ImportError(f"MLXP 2 has no {name}: {advice[name]}")
        raise AttributeError(f"there is no name '{name}' here")

    return tell
