"""Reads the YAML files of one run, whatever they hold: anything unreadable is a problem, never an exception."""

import os
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

from mlxp.run_directory import yaml_lines
from mlxp.run_directory.budget import Budget
from mlxp.run_directory.files import LARGEST_FILE
from mlxp_reader.records.file_states import NO_FILE, FileState, state_of

# What PyYAML's safe loader is known to raise, apart from its own errors, for values that do not fit their tag.
_YAML_ERRORS = (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)

# Non-blocking, since somebody may have left a pipe where a file should be.
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_SHORT = 10_000


class FileProblem(NamedTuple):
    """Something in the directory of a run that cannot be read."""

    file: str
    line: int | None
    error: str


class RunFiles:
    """The files of a run.

    Attributes
    ----------
    states
        The state in which each file was read, for all files that were looked for.
    problems
        What could not be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.states: dict[str, FileState] = {}
        self.problems: list[FileProblem] = []
        self._budget = Budget()

    def report(self, file: str, error: str, line: int | None = None) -> None:
        """Add a problem."""
        self.problems.append(FileProblem(file, line, error))

    def look_at(self, name: str) -> FileState:
        """Return the state of a file or folder, which shows whether the run is still as it was when read."""
        self.states[name] = state_of(f"{self.path}/{name}")
        return self.states[name]

    def names_in(self, folder: str) -> list[str]:
        """Return the names of the files in a folder."""
        try:
            return sorted(os.listdir(f"{self.path}/{folder}"))  # noqa: PTH208 - a path costs more than the reading
        except FileNotFoundError:
            return []
        except OSError as error:
            self.report(folder, error.strerror or str(error))
            return []

    def mapping(self, name: str) -> dict[Any, Any] | None:
        """Return the mapping in a YAML file; None if there is no such file or it holds no readable mapping."""
        content = self._content(name)
        if content is None or isinstance(content, dict):
            return content
        self.report(name, f"holds a {type(content).__name__} instead of a mapping")
        return None

    def _content(self, name: str) -> Any:
        self.states[name] = NO_FILE
        try:
            descriptor = os.open(f"{self.path}/{name}", _READING)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.report(name, error.strerror or str(error))
            return None
        try:
            self.states[name] = state_of(descriptor)
            return self._parsed(_text(descriptor, self.states[name].size), is_short="/.keys/" in name)
        except OSError as error:
            self.report(name, error.strerror or str(error))
        except _YAML_ERRORS as error:
            self.report(name, _sentence(error), _line_of(error))
        finally:
            os.close(descriptor)
        return None

    def _parsed(self, text: str, *, is_short: bool) -> Any:
        if not is_short or len(text) > _SHORT:
            return yaml_lines.load(text, self._budget)
        content, values, characters = _parsed_once(text)
        self._budget.spend(values, characters)
        return content


@lru_cache(maxsize=4096)
def _parsed_once(text: str) -> tuple[Any, int, int]:
    """Return what a short text holds, and how much: the same few keys are in every run of a sweep.

    What comes out is shared, hence read only.
    """
    budget = Budget()
    content = yaml_lines.load(text, budget)
    whole = Budget()
    return content, whole.values - budget.values, whole.characters - budget.characters


def _text(descriptor: int, size: int) -> str:
    if size > LARGEST_FILE:
        raise yaml.YAMLError(f"the file is larger than {LARGEST_FILE // 2**20} MB")
    text = os.read(descriptor, size).decode("utf-8")
    if not text or text.isspace():
        raise yaml.YAMLError("the file is empty")
    return text


def _line_of(error: Exception) -> int | None:
    mark = getattr(error, "problem_mark", None)
    return None if mark is None else mark.line + 1


_LONGEST_SENTENCE = 500


def _sentence(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        sentence = " ".join(part for part in (error.context, error.problem) if part)
    else:
        sentence = f"{error}" if isinstance(error, yaml.YAMLError) else f"{type(error).__name__}: {error}"
    return sentence if len(sentence) <= _LONGEST_SENTENCE else f"{sentence[: _LONGEST_SENTENCE - 1]}…"
