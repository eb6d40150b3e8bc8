"""ConfigDict, the type of ``ctx.config``: a dict whose keys are also attributes and that prints as YAML."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from mlxp.run_directory.files import to_yaml

__all__ = ["ConfigDict"]


class ConfigDict(dict[str, Any]):
    """A dict with attribute access; dicts inside it, including those in lists, are ConfigDicts too.

    It prints as YAML and keeps the order of its keys.

    Examples
    --------
    >>> config = ConfigDict({"seed": 1, "optimizer": {"lr": 0.1}})
    >>> config.optimizer.lr
    0.1
    >>> config.optimizer.momentum = 0.9
    >>> config
    seed: 1
    optimizer:
      lr: 0.1
      momentum: 0.9
    """

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override] # a view of the items, as in MLXP 1
        """The items, so that ``vars(config)`` returns them, as it does for an ``argparse.Namespace``."""
        return self

    def __init__(self, *args: Mapping[str, Any] | Iterable[tuple[str, Any]], **kwargs: Any) -> None:
        super().__init__()
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, _with_config_dicts(value))

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`; set it to `default` first if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            keys = ", ".join(map(str, self)) or "none"
            raise AttributeError(f"there is no key '{name}' here; the keys are: {keys}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"there is no key '{name}' here") from None

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *(key for key in self if isinstance(key, str))})

    def __repr__(self) -> str:
        return to_yaml(self.to_dict()).rstrip("\n")

    def __copy__(self) -> "ConfigDict":
        return ConfigDict(self)

    copy = __copy__

    def __or__(self, other: Mapping[str, Any]) -> "ConfigDict":  # type: ignore[override] # dict | dict is a plain dict
        return ConfigDict({**self, **other})

    def __ior__(self, other: Any) -> Self:  # type: ignore[override, misc] # must convert as update does
        for key, value in dict(other).items():
            self[key] = value
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.to_dict(),)

    def __setstate__(self, _: object) -> None:
        """Forget the attributes in a pickle of MLXP 1, which repeat the items and would hide them."""

    def update(self, *args: Mapping[str, Any] | Iterable[tuple[str, Any]], **kwargs: Any) -> None:  # type: ignore[override]
        """Set the values from another mapping; a nested mapping is merged into any mapping of the same name.

        Examples
        --------
        >>> config = ConfigDict({"optimizer": {"lr": 0.1, "momentum": 0.9}})
        >>> config.update({"optimizer": {"lr": 1.0}})
        >>> config.optimizer.momentum
        0.9
        """
        for key, value in dict(*args, **kwargs).items():
            mine = self.get(key)
            if isinstance(mine, ConfigDict) and isinstance(value, Mapping):
                mine.update(value)
            else:
                self[key] = value

    def to_dict(self) -> dict[str, Any]:
        """Return the same content as plain dicts and lists."""
        plain: dict[str, Any] = _plain(self)
        return plain


def _with_config_dicts(value: Any) -> Any:
    if isinstance(value, ConfigDict):
        return value
    if type(value) is dict:
        return ConfigDict(value)
    if type(value) in (list, tuple):
        return type(value)(_with_config_dicts(item) for item in value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigDict):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value
