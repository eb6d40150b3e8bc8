"""Results of users' own statistics, kept as long as the function and the values are the same.

They are kept in the user's cache, which may be deleted at any time. What a function is made of is found by looking into
it: its code, and all that it refers to. If that includes anything whose changes could go unnoticed, such as a module of
the user's own, nothing is kept, and the function is called each time.
"""

import builtins
import contextlib
import functools
import hashlib
import json
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError, LogDirectoryError
from mlxp.run_directory.files import write_atomically

_Array = npt.NDArray[Any]

_MOST = 200_000
"""Of how many results a file is begun anew, since most of them are of values that are no longer there."""


class _UnknownError(Exception):
    """Something could change without being noticed."""


def of_each_run(function: Callable[[_Array], Any]) -> Callable[[_Array, npt.NDArray[np.intp]], _Array]:
    """Return a function that applies `function` to each run's values without NaN, or knows what it returned before."""

    def compute(values: _Array, lengths: npt.NDArray[np.intp]) -> _Array:
        runs = [run[~np.isnan(run)] for run in np.split(values, np.cumsum(lengths)[:-1])]
        made_of = fingerprint(function)
        file = None if made_of is None else _folder() / f"{made_of}.json"
        known = _read(file) if file else {}
        names = [_digest(run) for run in runs] if file else [str(at) for at in range(len(runs))]
        found = {name: known[name] for name in names if name in known}
        for name, run in zip(names, runs, strict=True):
            if name not in found:
                found[name] = _number(function, run) if len(run) else np.nan
        if file and not found.keys() <= known.keys():
            _write(file, found if len(known) > _MOST else known | found)
        return np.array([found[name] for name in names], dtype=np.float64)

    return compute


def _number(function: Callable[[_Array], Any], run: _Array) -> float:
    result = function(run)
    try:
        return float(result)
    except (TypeError, ValueError) as error:
        name = getattr(function, "__name__", repr(function))
        told = f"a statistic returns one number per run, and {name} returned a {type(result).__name__}"
        raise InvalidKeyError(f"{told}: {result!r:.60}") from error


def _folder() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("mlxp", appauthor=False) / "statistics"


def _digest(values: _Array) -> str:
    return hashlib.blake2b(values.tobytes(), digest_size=12, person=values.dtype.str.encode()).hexdigest()


def _read(file: Path) -> dict[str, float]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none yet, or it is damaged
        return {}
    is_whole = isinstance(found, dict) and all(isinstance(number, float) for number in found.values())
    return found if is_whole else {}


def _write(file: Path, results: dict[str, float]) -> None:
    with contextlib.suppress(OSError, LogDirectoryError):  # a full disk, or none to write to
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(results))


def fingerprint(function: Callable[..., Any]) -> str | None:
    """Return a text that changes whenever a function may return something else; None if nobody can tell.

    Examples
    --------
    >>> one, two = fingerprint(lambda run: run.max()), fingerprint(lambda run: run.min())
    >>> one != two, fingerprint([].append) is None  # what a list holds may change
    (True, True)
    """
    digest = hashlib.sha256(f"{sys.version} {np.__version__}".encode())
    try:
        for part in _parts(function, set()):
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    except (_UnknownError, ValueError, RecursionError):  # the last two: what is not bound yet, and what holds itself
        return None
    return digest.hexdigest()[:16]


_PLAIN = (type(None), bool, int, float, complex, str, bytes, re.Pattern, np.generic, type(...))


def _parts(thing: Any, seen: set[int]) -> Iterator[str]:
    """Yield texts that tell all of a thing that may change."""
    if isinstance(thing, _PLAIN):
        yield f"{type(thing).__name__} {thing!r}"
    elif isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
        yield f"{thing.dtype} {thing.shape} {hashlib.sha256(thing.tobytes()).hexdigest()}"
    elif (held := _held(thing)) is not None:
        yield f"{type(thing).__name__} {len(held)}"
        for one in held:
            yield from _parts(one, seen)
    elif (version := _version(thing)) is not None:
        yield f"{getattr(thing, '__module__', '')} {getattr(thing, '__qualname__', thing)} {version}"
    elif isinstance(thing, types.FunctionType):
        if id(thing) not in seen:
            seen.add(id(thing))
            yield from _parts_of_function(thing, seen)
    else:
        raise _UnknownError


def _held(thing: Any) -> list[Any] | None:
    """Return what a thing consists of, in an order of its own; None if it is no such thing."""
    if isinstance(thing, tuple | list):
        return list(thing)
    if isinstance(thing, set | frozenset):
        return sorted(thing, key=repr)
    if isinstance(thing, dict):
        return list(thing.items())
    if isinstance(thing, types.CodeType):
        return [thing.co_code, thing.co_consts, thing.co_names, thing.co_varnames]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    return None


def _parts_of_function(function: types.FunctionType, seen: set[int]) -> Iterator[str]:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    yield from _parts((function.__code__, function.__defaults__, function.__kwdefaults__, cells), seen)
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield name
            yield from _parts(function.__globals__[name], seen)


def _names(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return {*code.co_names}.union(*map(_names, inner))


def _version(thing: Any) -> str | None:
    """Return the version of what belongs to Python or to an installed package; None for anything else."""
    if isinstance(thing, np.ufunc):
        return np.__version__
    if isinstance(thing, types.ModuleType):
        module: Any = thing.__name__
    else:
        is_bound = not isinstance(getattr(thing, "__self__", None), types.ModuleType | None)
        module = None if is_bound or not hasattr(thing, "__qualname__") else getattr(thing, "__module__", None)
    if not isinstance(module, str):
        return None
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == builtins.__name__:
        return sys.version
    package = sys.modules.get(top)
    is_installed = {"site-packages", "dist-packages"} & {*Path(getattr(package, "__file__", None) or "").parts}
    version = getattr(package, "__version__", None)
    return version if is_installed and isinstance(version, str) else None
