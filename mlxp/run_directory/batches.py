"""The names of batches: the runs of one call of mlxpsub, or of one sweep."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

LAST: Final = "last"
"""What stands for the batch that the latest run belongs to."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+=-]{0,99}")


def is_batch_name(text: str) -> bool:
    """Tell whether `text` can be the name of a batch.

    Examples
    --------
    >>> is_batch_name("lr-search"), is_batch_name("last"), is_batch_name("two words")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None and text != LAST


def default_name(first_id: int) -> str:
    """Return the name of a batch that nobody has named: the date, and the id of its first run."""
    return f"{datetime.now().astimezone():%Y-%m-%d}-{first_id}"


def batch_of(info: Mapping[str, Any], submission: Mapping[str, Any]) -> str | None:
    """Return the name of the batch that a run belongs to, from its files; None if it belongs to none.

    Examples
    --------
    >>> batch_of({"batch": "2026-11-30-1"}, {}), batch_of({}, {"batch": "lr-search"}), batch_of({}, {})
    ('2026-11-30-1', 'lr-search', None)
    """
    return submission.get("batch") or info.get("batch")
