"""Frames that know which columns are keys of the configuration, even after they were renamed."""

from typing import Any, ClassVar, Self

import pandas as pd

_PREFIX = "config."


class KeyedFrame(pd.DataFrame):
    """A frame whose columns ``config.…`` stay keys of the configuration when they are renamed.

    Examples
    --------
    >>> frame = KeyedFrame({"config.lr": [0.1, 1.0], "score": [1, 2]}).rename(columns={"config.lr": "lr"})
    >>> frame.configuration_keys()
    ['lr']
    """

    # What pandas hands on to what it makes of a frame.
    _metadata: ClassVar[list[str]] = ["_renamed_keys"]
    _renamed_keys: frozenset[Any] = frozenset()

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)  # type: ignore[call-arg]  # pandas' stubs know __new__ only
        self._remember(getattr(data, "_renamed_keys", frozenset()) if isinstance(data, KeyedFrame) else frozenset())

    @property
    def _constructor(self) -> Any:
        return KeyedFrame

    def configuration_keys(self) -> list[Any]:
        """Return the columns that are keys of the configuration."""
        return [name for name in self.columns if _is_key(name) or name in self._renamed_keys]

    def _set_axis(self, axis: int, labels: Any) -> None:
        # All ways to rename columns end here.
        before = self.columns
        super()._set_axis(axis, labels)  # type: ignore[misc]  # pandas' own hook
        if self.columns is not before:
            renamed = (new for old, new in zip(before, self.columns, strict=False) if self._was_key(old))
            self._remember(frozenset(new for new in renamed if not _is_key(new)))

    def _was_key(self, name: Any) -> bool:
        return _is_key(name) or name in self._renamed_keys

    def _remember(self, names: frozenset[Any]) -> None:
        if names != self._renamed_keys:
            object.__setattr__(self, "_renamed_keys", names)

    def __finalize__(self, other: Any, method: str | None = None, **kwargs: Any) -> Self:
        mine = self._renamed_keys
        made: Self = super().__finalize__(other, method, **kwargs)  # type: ignore[misc]  # pandas' own hook
        # pandas 2 and 3 name differently what frames are put together of.
        several = next((getattr(other, name) for name in ("input_objs", "objs") if hasattr(other, name)), None)
        sources = [other] if several is None else list(several.values() if isinstance(several, dict) else several)
        sources += [getattr(other, side) for side in ("left", "right") if hasattr(other, side)]
        theirs = (source._renamed_keys for source in sources if isinstance(source, KeyedFrame))  # noqa: SLF001 - of our own class
        made._remember(mine.union(*theirs))
        return made


def _is_key(name: Any) -> bool:
    return isinstance(name, str) and name.startswith(_PREFIX)
