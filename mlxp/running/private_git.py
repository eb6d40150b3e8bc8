"""The git program with a git directory of ours, so that nothing of the user's repository is executed or written."""

import os
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Final

from mlxp.programs import Answer, ProgramError, run_program

_TIMEOUT: Final = 60.0  # seconds


class GitError(Exception):
    """git could not do what it was asked to do; the message says why."""


_KEPT_SETTINGS: Final = (
    "core.ignorecase",
    "core.symlinks",
    "core.filemode",
    "core.excludesfile",
    "core.attributesfile",
)
"""The user's settings that decide which files are which; none of them names a program."""

ANY: Final = range(256)
"""All exit codes: git prints what it knows."""


class Git:
    """The git program on a work tree, with a git directory of ours.

    Parameters
    ----------
    top
        The work tree; the program runs there.
    private
        The directory for the files that git needs; `prepare` fills a new one.
    store
        The folder of all states, whose ``objects`` git writes to.

    Attributes
    ----------
    alternates
        Folders of objects that git reads as well.
    """

    def __init__(self, top: Path, private: Path, store: Path) -> None:
        self.top = top
        self.private = private
        self.store = store
        self.alternates: list[Path] = []
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
            "GIT_DIR": str(private),
            "GIT_WORK_TREE": str(top),
            "GIT_INDEX_FILE": str(private / "index"),
            "GIT_OBJECT_DIRECTORY": str(store / "objects"),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "LC_ALL": "C",
        }

    def prepare(self, settings: Mapping[str, str]) -> None:
        """Write what git needs in a new private directory; of the `settings`, those in `_KEPT_SETTINGS` count."""
        for folder in (self.private / "refs", self.private / "objects", self.private / "info", self.store / "objects"):
            folder.mkdir(parents=True, exist_ok=True)
        write(self.private / "HEAD", "ref: refs/heads/none\n")
        write(self.private / "config", _configuration(settings))

    def prepare_like(self, config: Path | None) -> dict[str, str]:
        """Write what git needs, with the user's settings, and return all of these; reading them executes nothing.

        Parameters
        ----------
        config
            The configuration of the user's repository; None to take only what the user has set for all.
        """
        self.prepare({})
        write(self.private / "config", f"[include]\npath = {quoted(str(config))}\n" if config is not None else "")
        everywhere = {
            name: os.environ[name] for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM") if name in os.environ
        }
        answer = self._answer(("config", "-z", "--list"), everywhere)
        settings = dict(entry.partition("\n")[::2] for entry in os.fsdecode(answer.raw).split("\0") if entry)
        write(self.private / "config", _configuration(settings))
        return settings

    def __call__(self, *words: str, names: Iterable[str] = (), given: str = "", accepted: Container[int] = (0,)) -> str:
        """Return what git prints; its standard input is `given`, or `names`, each followed by a NUL.

        Raises
        ------
        GitError
            If git cannot be run, or if its exit code is not an accepted one.
        """
        nobody = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        answer = self._answer(words, nobody, given.encode() or b"".join(os.fsencode(name) + b"\0" for name in names))
        if answer.code not in accepted:
            raise GitError(f"git {words[0]} failed in {self.top}: {answer.complaint}")
        return os.fsdecode(answer.raw)

    def _answer(self, words: Iterable[str], environment: Mapping[str, str], given: bytes = b"") -> Answer:
        alternates = os.pathsep.join(quoted(str(path)) for path in self.alternates)
        try:
            return run_program(
                ["git", *words],
                seconds=_TIMEOUT,
                directory=self.top,
                environment={**self._environment, "GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates, **environment},
                given=given,
            )
        except ProgramError as error:
            raise GitError(str(error)) from error


def _configuration(settings: Mapping[str, str]) -> str:
    """Return a configuration that names no program, with those settings that decide which files are which."""
    # A new object is renamed into its place, which takes two calls of the system less than a link would.
    lines = ["[core]", "bare = false", "fsmonitor = false", "hooksPath = /dev/null", "createObject = rename"]
    given = [name for name in _KEPT_SETTINGS if name in settings]
    lines += [f"{name.removeprefix('core.')} = {quoted(settings[name])}" for name in given]
    if "extensions.objectformat" in settings:
        lines += [
            "repositoryformatversion = 1",
            "[extensions]",
            f"objectFormat = {settings['extensions.objectformat']}",
        ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return `text` in quotes, as git's lists of paths and its configuration need it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def text(path: Path) -> str:
    """Return the content of one of git's small files; an empty text if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def write(path: Path, content: str) -> None:
    """Write one of git's small files."""
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
