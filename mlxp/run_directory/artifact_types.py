"""Artifact types: how to save an object to a file and how to load it back.

Each type is a row of `ARTIFACT_TYPES`. The libraries that a type needs are imported when it is used. Loading an
artifact of type ``pickle`` or ``torch`` can execute code stored in the file: load only what you trust.
"""

import contextlib
import functools
import importlib
import io
import operator
import pickle
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidArtifactError


@dataclass(frozen=True, slots=True)
class ArtifactType:
    """How the artifacts of one type are saved and loaded."""

    save: Callable[[Any, str], Any]
    load: Callable[[str], Any]


_LIBRARIES = {"pickle": "dill", "numpy": "numpy", "torch": "torch", "image": "PIL.Image"}


def prepare(name: str) -> None:
    """Import what a built-in type needs for saving, if it is installed."""
    with contextlib.suppress(ImportError):
        importlib.import_module(_LIBRARIES.get(name, "sys"))


def _needed(module: str, *, to: str, install: str | None = None) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = install or module.partition(".")[0]
        raise InvalidArtifactError(f"{to} needs {package}, which is not installed: pip install {package}") from error


def _save_pickle(artifact: object, path: str) -> None:
    try:
        content = _pickled(artifact, _pickler())
    except Exception as error:  # noqa: BLE001 - a class may raise anything while it is pickled
        try:
            content = _pickled(artifact, pickle.Pickler)  # knows classes by their names only, but more objects
        except Exception:  # noqa: BLE001 - dill's reason says more
            kind = type(artifact).__name__
            raise InvalidArtifactError(f"an object of type {kind} cannot be pickled: {error}") from error
    Path(path).write_bytes(content)


def _pickled(artifact: object, pickler: type[pickle.Pickler]) -> bytes:
    content = io.BytesIO()
    pickler(content, protocol=pickle.DEFAULT_PROTOCOL).dump(artifact)
    return content.getvalue()


@functools.cache
def _pickler() -> type[pickle.Pickler]:
    """Return dill's pickler, changed to pickle the script's classes as they are, but those of libraries by name.

    If a package hides one of its modules, as torch hides ``torch.optim.adam``, dill by itself assumes that nobody can
    import the classes in it. It pickles their code, which fails, or is loaded as another class.
    """
    import dill

    class Pickler(dill.Pickler):  # type: ignore[misc] # dill has no types
        def reducer_override(self, found: Any) -> Any:
            return found.__qualname__ if isinstance(found, type) and _is_in_library(found) else NotImplemented

    return Pickler


def _is_in_library(found: type) -> bool:
    """Tell whether a class can be imported by its name from a module other than the script."""
    if found.__module__ == "__main__":
        return False
    try:
        return operator.attrgetter(found.__qualname__)(sys.modules[found.__module__]) is found
    except (KeyError, AttributeError):
        return False


def _load_pickle(path: str) -> object:
    import dill

    with Path(path).open("rb") as file:
        return dill.load(file)  # noqa: S301 - what the type is for; the module's docstring warns


def _save_numpy(artifact: object, path: str) -> None:
    import numpy as np

    several = artifact if isinstance(artifact, dict) else {"": artifact}
    arrays = {name: np.asarray(array) for name, array in several.items()}
    if any(array.dtype.hasobject for array in arrays.values()) or "file" in arrays:
        raise InvalidArtifactError(
            "the artifact type 'numpy' takes an array, or a dict of arrays, of numbers or text, none of them named "
            "'file'; save anything else as 'pickle'"
        )
    # Given a path instead of a file, numpy would append its own suffix to the name asked for.
    with Path(path).open("wb") as file:
        if isinstance(artifact, dict):
            np.savez(file, **arrays)  # type: ignore[arg-type] # its stub takes any name for allow_pickle
        else:
            np.save(file, arrays[""])


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
        formats = artifact.canvas.get_supported_filetypes()
        artifact.savefig(path, format=_suffix(path, formats) or "png", bbox_inches="tight")
        return
    image = _needed("PIL.Image", to="saving an image", install="pillow")
    if not isinstance(artifact, image.Image):
        artifact = _image_of_array(artifact, image)
    formats = {suffix.removeprefix(".") for suffix in image.registered_extensions()}
    artifact.save(path, format=None if _suffix(path, formats) else "PNG")


def _suffix(path: str, known: Iterable[str]) -> str | None:
    suffix = Path(path).suffix.removeprefix(".").lower()
    return suffix if suffix in known else None


def _image_of_array(artifact: object, image: Any) -> Any:
    import numpy as np

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
