"""The files of a work tree, as git lists them: those that it tracks, those that were edited, and all others."""

from typing import Final

from mlxp.running.private_git import Git

_PLAIN: Final = "H 100"  # the tag of a file that git looks at, and the mode of one that is no link
_SUBMODULE: Final = "160000"


class ListedFiles:
    """The files of a work tree, as git lists them.

    The lines of files that git tracks stay texts: there may be 50,000 of them, of which few are looked at. Those of
    plain files, which are nearly all, are set apart at once.

    Parameters
    ----------
    answer
        What git prints; see `listed_files`.

    Attributes
    ----------
    text
        What git prints.
    edited
        The names of files that git tracks and that were edited or removed.
    others
        All other files that are not ignored; the names of repositories end with a slash.
    """

    def __init__(self, answer: str) -> None:
        self.text = answer
        special = [line for line in answer.split("\0") if line[:5] != _PLAIN and line]
        self._special = [line for line in special if line[0] not in "?CcRr"]
        self.edited = {name_in(line) for line in special if line[0] in "CcRrM"}  # M: not merged
        self.others = [line[2:] for line in special if line[0] == "?"]

    def known(self) -> list[str]:
        """Return one line per file that git tracks: a tag (how closely git looks at it), mode, content, and name."""
        return [line for line in self.text.split("\0") if line[:5] == _PLAIN] + self._special

    def tagged(self, tags: str) -> list[str]:
        """Return the names of the tracked files that have one of these tags."""
        return [name_in(line) for line in self._special if line[0] in tags]

    def submodules(self) -> list[str]:
        """Return the names of the submodules."""
        return [name_in(line) for line in self._special if line.startswith(_SUBMODULE, 2)]

    def nested(self) -> list[str]:
        """Return the names of the repositories inside: submodules, and those that the outer one does not know."""
        return [*self.submodules(), *(name[:-1] for name in self.others if name.endswith("/"))]

    def blobs(self) -> dict[str, str]:
        """Return what the index holds for each tracked file."""
        return {name_in(line): line.split(" ", 3)[2] for line in self.known()}


def name_in(line: str) -> str:
    """Return the name of the file in a line of what git lists."""
    return line.partition("\t")[2]


def listed_files(git: Git) -> ListedFiles:
    """Return the files of the work tree of `git`."""
    # "-m" and "-d" list once more what was edited or removed, so that this one call looks at each file.
    return ListedFiles(git("ls-files", "-z", "-v", "-s", "-c", "-o", "-m", "-d", "--exclude-standard"))
