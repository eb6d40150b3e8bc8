"""Artifact types: how to save an object to a file and how to load it back.

Each type is a row of `ARTIFACT_TYPES`. The libraries that a type needs are imported when it is used. Loading an
artifact of type ``pickle`` or ``torch`` can execute code stored in the file: load only what you trust.
"""

import importlib
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidArtifactError

__all__ = ["ARTIFACT_TYPES", "ArtifactType", "import_path", "imported"]


@dataclass(frozen=True, slots=True)
class ArtifactType:
    """How the artifacts of one type are saved and loaded."""

    save: Callable[[Any, str], Any]
    load: Callable[[str], Any]


def _needed(module: str, *, to: str, install: str | None = None) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = install or module.partition(".")[0]
        raise InvalidArtifactError(f"{to} needs {package}, which is not installed: pip install {package}") from error


def _save_pickle(artifact: object, path: str) -> None:
    import dill

    with Path(path).open("wb") as file:
        try:
            file.write(dill.dumps(artifact))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            kind = type(artifact).__name__
            raise InvalidArtifactError(f"an object of type {kind} cannot be pickled: {error}") from error


def _load_pickle(path: str) -> object:
    import dill

    with Path(path).open("rb") as file:
        return dill.load(file)  # noqa: S301 - what the type is for; the module's docstring warns


def _save_numpy(artifact: object, path: str) -> None:
    import numpy as np

    # Given a path instead of a file, numpy would append its own suffix to the name asked for.
    with Path(path).open("wb") as file:
        if isinstance(artifact, dict):
            np.savez(file, **artifact)
        else:
            np.save(file, np.asarray(artifact))


def _load_numpy(path: str) -> object:
    import numpy as np

    loaded = np.load(path)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        return dict(loaded)


def _save_torch(artifact: object, path: str) -> None:
    _needed("torch", to="the artifact type 'torch'").save(artifact, path)


def _load_torch(path: str) -> object:
    torch = _needed("torch", to="the artifact type 'torch'")
    # A tensor saved on a machine with an accelerator is loaded on one without it, too.
    return torch.load(path, weights_only=False, map_location=None if torch.cuda.is_available() else "cpu")


def _save_image(artifact: Any, path: str) -> None:
    if hasattr(artifact, "savefig"):
        artifact.savefig(path, bbox_inches="tight")
    elif hasattr(artifact, "save") and hasattr(artifact, "getbands"):
        artifact.save(path)
    else:
        _image_of_array(artifact).save(path)


def _image_of_array(artifact: object) -> Any:
    import numpy as np

    image = _needed("PIL.Image", to="saving an array as an image", install="pillow")
    array = np.asarray(artifact)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype.kind not in "uifb" or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise InvalidArtifactError(
            f"an image is a matplotlib figure, a PIL image or an array of shape (height, width[, 3 or 4]), "
            f"not {type(artifact).__name__} of shape {array.shape} and type {array.dtype}"
        )
    if array.dtype.kind in "fb":  # values in [0, 1], as matplotlib reads them
        array = np.clip(array.astype(float), 0, 1) * 255 + 0.5
    return image.fromarray(np.clip(array, 0, 255).astype(np.uint8))


def _load_image(path: str) -> object:
    return _needed("matplotlib.image", to="loading an image").imread(path)


ARTIFACT_TYPES: dict[str, ArtifactType] = {
    "pickle": ArtifactType(_save_pickle, _load_pickle),
    "numpy": ArtifactType(_save_numpy, _load_numpy),
    "torch": ArtifactType(_save_torch, _load_torch),
    "image": ArtifactType(_save_image, _load_image),
}
"""The built-in types.

``pickle`` takes any object (by dill), ``numpy`` an array or a dict of arrays, ``torch`` what torch saves, and ``image``
a matplotlib figure, a PIL image or an array with values in [0, 255] or [0., 1.]; matplotlib's ``imread`` loads it.
"""


def import_path(function: Callable[..., Any]) -> str:
    """Return ``module:name``, by which another program can import `function`.

    Raises
    ------
    InvalidArtifactError
        If no other program could import it: a lambda, a function inside a function, or one typed in a notebook.
    """
    name = getattr(function, "__qualname__", repr(function))
    module = _module_name(function)
    if module is None or "<" in name:
        raise InvalidArtifactError(
            f"the function {name} cannot be imported by a program that reads the artifact later; "
            "move it to the top level of a module (a .py file)"
        )
    return f"{module}:{name}"


def _module_name(function: Callable[..., Any]) -> str | None:
    module: str | None = getattr(function, "__module__", None)
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    if main.__spec__ is not None:  # python -m package.module
        return main.__spec__.name
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else None


def imported(path: str) -> Any:
    """Return what `path`, of the form ``module:name`` or ``module.name``, names.

    Raises
    ------
    ImportError
        If there is no such module, or no such name in it.

    Examples
    --------
    >>> imported("os.path:basename")("a/b")
    'b'
    """
    module_name, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    if not module_name:
        raise ImportError(f"'{path}' is not of the form package.module.name")
    found: Any = _module(module_name)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise ImportError(f"there is no {name} in the module {module_name}") from error
    return found


def _module(name: str) -> Any:
    # The running script is known as __main__; importing it under its own name would execute it again.
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file and Path(file).stem == name and main.__spec__ is None and name not in sys.modules:
        return main
    return importlib.import_module(name)
