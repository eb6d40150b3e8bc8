"""The command line of ``mlxpsub``: its own options, the script, options for the scheduler, and overrides."""

import argparse
import difflib
from collections.abc import Sequence
from typing import NoReturn


class SubmissionParser(argparse.ArgumentParser):
    """Parses ``PROGRAM [own options] SCRIPT [own options and options of the scheduler] [-- overrides]``.

    The result has the attributes `for_scheduler` and `overrides` for what argparse does not know.
    """

    def __init__(self, own: argparse.ArgumentParser, usage: str, description: str, epilog: str) -> None:
        super().__init__(own.prog, usage, description, epilog, parents=[own], allow_abbrev=False)
        self._own = own
        self._names = [name for name in own.format_help().split() if name.startswith("--")]

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse the words; print a message and end the process if they are wrong."""
        before, overrides = _cut(words)
        if {"-h", "--help"} & set(before):
            self.print_help()
            self.exit(0)
        known, others = self._own.parse_known_args(before)
        if not others or others[0].startswith("-"):  # without a script, or with an unknown option before it
            self.parse_args(before)
        script, *for_scheduler = others
        self._check(for_scheduler, overrides)
        return argparse.Namespace(
            **vars(self.parse_args([script], known)), for_scheduler=for_scheduler, overrides=overrides
        )

    def _check(self, for_scheduler: list[str], overrides: list[str]) -> None:
        for word in for_scheduler:
            name = word.partition("=")[0]
            near = [one for one in self._names if len(name) > len("--x") and one.startswith(name)]
            near += difflib.get_close_matches(name, self._names, 1, 0.85) if name.startswith("--") else []
            if near:
                self._refuse(f"{word}: there is no such option of mlxpsub; {near[0]} is one")
        for word in overrides:
            if word.startswith("-") or not ("=" in word or word.startswith("~")):
                self._refuse(f"{word!r} is not an override; after `--`, write overrides such as seed=3")
            if word.lstrip("+~").startswith(("hydra.", "hydra/")):
                self._refuse(f"{word}: write Hydra's own settings into the command in the script")

    def _refuse(self, message: str) -> NoReturn:
        self.error(message)


def _cut(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words before and after the first ``--``."""
    position = words.index("--") if "--" in words else len(words)
    return list(words[:position]), list(words[position + 1 :])
