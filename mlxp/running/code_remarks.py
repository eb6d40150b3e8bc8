"""What a run says about its code: that it has changed, and what of it is neither stored nor frozen."""

import functools
from collections.abc import Mapping
from typing import Any

from mlxp.printing import show
from mlxp.run_directory.printable import printable
from mlxp.running.copies import check_is_from_copy, current_copy, names_of, not_stored_since
from mlxp.running.provenance import is_code


def checked_code(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Check that the code of a run comes from its copy, if there is one, and return what is new about the code."""
    code = facts.get("code") or {}
    linked = check_is_from_copy(code.get("left_out") or [])
    if not linked:
        return {}
    _say_once(f"mlxp: not from the copy of the code, since git ignores them: {names_of(linked)}")
    return {"code": {**code, "linked": linked}}


def tell_of_code(facts: Mapping[str, Any]) -> None:
    """Say which code is not stored, and which has changed since the submission."""
    code = facts["code"] or {}
    lacking = [name for name in code.get("left_out") or [] if is_code(name)]
    if lacking and current_copy() is None:
        _say_once(f"mlxp: there are {not_stored_since(lacking)}")
    if facts["code_changed"]:
        changed = names_of(code.get("changed") or ["unknown files"])
        show(printable(f"mlxp: the code has changed since the submission: {changed}"), "stderr")


def tell_of_copy(*, is_copied: bool) -> None:
    """Say what does not come from the copy if there is one and this process is not executed in it."""
    if is_copied and current_copy() is None:
        _say_once(
            "The program continues with what it has read here: its configuration and the modules it has imported."
        )


@functools.cache  # once per program
def _say_once(sentence: str) -> None:
    show(printable(sentence), "stderr")
