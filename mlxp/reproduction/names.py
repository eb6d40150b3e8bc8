"""Takes out of what is given to others whatever names a person, a computer or a place on its disk.

Paths inside the project stay, as relative ones. All others become ``<path>/`` and their last part. Numbers are never
looked at. A word of a configuration may be a user's name by accident (``optimizer: adam``), so words in configurations
stay unless the user asks for it; whoever exports is told where such words are left.
"""

import getpass
import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mlxp.running.secrets import masked

HIDDEN: Final = ("<path>", "<user>", "<host>", "<email>", "<hidden>")
"""What stands for something that was taken out."""

_NO_ONE: Final = {"root", "user", "ubuntu", "nobody", "runner", "localhost", "home", "users", ""}
_SYSTEM: Final = ("/bin/", "/usr/", "/dev/", "/proc/", "/etc/", "/lib", "/sys/", "/sbin/", "/opt/")
"""Places that every computer has."""

_PART: Final = r"[^\s/\"'`<>|:;,(){}\[\]=\\]"
# Every repetition is bounded: a line may hold a megabyte. A slash that follows a letter divides, or is part of a URL.
_PATH: Final = re.compile(rf"(?:(?<=file://)|(?<![\w./<>~%-]))/(?!/)(?:{_PART}{{1,255}}/){{1,64}}{_PART}{{0,255}}")
_WINDOWS_PATH: Final = re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\s\\\"'<>|]{1,255}\\){0,64}([^\s\\\"'<>|]{0,255})")
_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}")
_HOSTNAME: Final = re.compile(r"^ {0,8}hostname: ['\"]?([\w.-]{1,255})", re.MULTILINE)
_OF_PROCESS: Final = re.compile(r"^( {0,8}(?:process_id|process_start): ).*", re.MULTILINE)
_HOME: Final = re.compile(r"/(?:home|Users)/([\w.-]{1,64})")


@dataclass(frozen=True, slots=True)
class Names:
    """What is to be taken out, and what takes its place.

    Attributes
    ----------
    users, hosts
        The names of users and computers.
    hidden
        Further words that are to be taken out everywhere.
    places
        Folders, and the relative paths that stand for them.
    """

    users: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    hidden: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()

    def at(self, places: Mapping[str, str]) -> "Names":
        """Return the same with these folders; the longer of two is looked for first."""
        given = {place: name for place, name in places.items() if len(place) > 1}
        return replace(self, places=tuple(sorted(given.items(), key=lambda one: -len(one[0]))))

    def in_text(self, text: str) -> str:
        """Return a text for people without names, such as what a run has printed.

        Examples
        --------
        >>> names = Names(frozenset({"jane"}), frozenset({"gpu-3"})).at({"/home/jane/proj": "project"})
        >>> names.in_text("jane@gpu-3: /home/jane/proj/main.py reads /scratch/jane/digits.npz")
        '<user>@<host>: project/main.py reads <path>/digits.npz'
        """
        text = self._without_places(masked(text))
        for words, name in ((self.hosts, "<host>"), (self.users, "<user>")):
            for word in sorted(words, key=len, reverse=True):
                text = _whole(word).sub(name, text)
        return text

    def in_facts(self, text: str) -> str:
        """Return a line of a file about a run without names, and without the numbers of its processes.

        Examples
        --------
        >>> Names(hosts=frozenset({"n7"})).in_facts("hostname: n7"), Names().in_facts("process_id: 12")
        ('hostname: <host>', 'process_id: null')
        """
        return _OF_PROCESS.sub(r"\1null", self.in_text(text))

    def in_value(self, value: Any) -> Any:
        """Return a value of a configuration without names; a word that may be something else stays.

        Examples
        --------
        >>> names = Names(frozenset({"adam"})).at({"/home/adam/proj": "."})
        >>> names.in_value({"data": "/home/adam/proj/data", "cache": "/scratch/adam", "optimizer": "adam", "lr": 0.1})
        {'data': './data', 'cache': '<path>/adam', 'optimizer': 'adam', 'lr': 0.1}
        """
        if isinstance(value, dict):
            return {key: self.in_value(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.in_value(one) for one in value]
        return self._in_text_value(value) if isinstance(value, str) else value

    def _in_text_value(self, text: str) -> str:
        text = self._without_places(text)
        if text.startswith("/") and "\n" not in text and len(text) > 1:  # a path of any form, with blanks in it
            text = _last_part(text)
        for host in self.hosts:
            if not host.isalpha():
                text = _whole(host).sub("<host>", text)
        return text

    def _without_places(self, text: str) -> str:
        for word in self.hidden:
            text = text.replace(word, "<hidden>")
        for place, name in self.places:
            if place in text:
                text = re.sub(rf"(?<![\w.-]){re.escape(place)}(?![\w-]|\.\w)", name.replace("\\", r"\\"), text)
        text = _PATH.sub(lambda found: _last_part(found[0]), text) if "/" in text else text
        text = _WINDOWS_PATH.sub(r"<path>/\1", text) if "\\" in text else text
        return _EMAIL.sub("<email>", text) if "@" in text else text

    def found_in(self, content: bytes, *, is_text: bool) -> set[str]:
        """Return the names that are in a piece of a file; short ones are looked for in texts only."""
        words = {*self.users, *self.hosts, *self.hidden}
        words = words if is_text else {word for word in words if len(word) > 4}
        found = {word for word in words if (sought := word.encode()) in content and _whole(sought).search(content)}
        return found | {home for home in (os.path.expanduser("~"),) if len(home) > 1 and home.encode() in content}  # noqa: PTH111


def _whole(word: Any) -> Any:
    """Return a pattern for a word, a text or bytes, that is no part of another word."""
    if isinstance(word, bytes):
        return re.compile(rb"(?<![A-Za-z0-9_])" + re.escape(word) + rb"(?![A-Za-z0-9_])")
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


def _last_part(path: str) -> str:
    if path.startswith(_SYSTEM):
        return path
    last = path.rstrip("/").rpartition("/")[2]
    return f"<path>/{last}"


def names_in(texts: Iterable[str], hidden: Sequence[str] = ()) -> Names:
    """Return the names of users and hosts in what runs say, and those of this computer and its user.

    Parameters
    ----------
    texts
        The files in which runs say where they ran.
    hidden
        Further words that are to be taken out.
    """
    hosts, users = {socket.gethostname()}, {_user(), Path.home().name}
    for text in texts:
        hosts |= set(_HOSTNAME.findall(text))
        users |= set(_HOME.findall(text))
    hosts |= {host.partition(".")[0] for host in hosts}
    return Names(frozenset(users - _NO_ONE), frozenset(hosts - _NO_ONE - set(HIDDEN)), tuple(hidden))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # in a container, a number may have no name
        return ""
