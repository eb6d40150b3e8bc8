"""Run the code blocks of a page of the documentation, in order, in the current directory.

``python run_page.py PAGE.md``. A page is a story: a block may use what the ones before it made. What happens to a block
depends on its language, and on the line of text before it:

- after a line that ends with a file's name in backticks and a colon (``write `main.py`:``), it is the file's content;
- after a line ``<!-- not run: why -->``, nothing is done with it;
- ``python`` is executed, in one namespace for the whole page, and ``pycon`` is checked as a doctest in it;
- ``bash`` is given to bash, which stops at the first command that fails; a ``cd`` holds for the blocks after it;
- ``text`` directly after ``python`` or ``bash`` is what that printed, where ``...`` stands for anything;
- ``yaml`` must be valid YAML, and other languages are left alone.

What a block needs, but a reader need not see, is in a comment that starts with ``<!-- python`` or ``<!-- bash``.
"""

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

_BLOCK = re.compile(
    r"^<!-- (?P<hidden>python|bash)\n(?P<hidden_code>.*?)^-->$|^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"`([\w./-]+\.(?:py|yaml|sh|txt))`:$")


@dataclass(frozen=True)
class Block:
    """A piece of code on a page."""

    language: str
    code: str
    line: int
    before: str
    """The last line of text before it; empty if it follows another block."""


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a page."""
    end = 0
    for match in _BLOCK.finditer(text):
        before = text[end : match.start()].strip().rpartition("\n")[2]
        line = text.count("\n", 0, match.start()) + 1
        end = match.end()
        language, code = match["language"] or match["hidden"], match["code"] or match["hidden_code"] or ""
        yield Block(language, code, line, before)


class Page:
    """The execution of one page."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace: dict[str, Any] = {"__name__": "page"}
        self.printed: str | None = None

    def run(self, block: Block) -> None:
        """Do with a block what its language and the line before it say."""
        if block.before.startswith("<!-- not run:"):
            self.printed = None
        elif file := _FILE.search(block.before):
            _write(Path(file[1]), block.code)
        elif block.language == "text":
            self._compare(block)
        else:
            action = getattr(self, f"_run_{block.language}", None)
            self.printed = action(block) if action else None

    def _run_python(self, block: Block) -> str:
        # Empty lines before the code make a traceback show the line of the page. The name must not be that of the file,
        # else a task that a page defines would take the page's folder for its own.
        code = compile("\n" * block.line + block.code, f"<{self.name}>", "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, self.namespace)
        return printed.getvalue()

    def _run_pycon(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.code, {}, self.name, self.name, block.line)
        test.globs = self.namespace
        report = io.StringIO()
        if doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=report.write, clear_globs=False).failed:
            raise AssertionError(report.getvalue())

    def _run_bash(self, block: Block) -> str:
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as place:
            code = f"trap 'pwd > {place.name}' EXIT\n{block.code}"
            command = ["bash", "-euo", "pipefail", "-c", code]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                raise AssertionError(f"exit code {result.returncode}\n{result.stdout}{result.stderr}")
            os.chdir(place.read().rstrip("\n"))
        return result.stdout

    def _run_yaml(self, block: Block) -> None:
        list(yaml.safe_load_all(block.code))

    def _compare(self, block: Block) -> None:
        if self.printed is None or block.before:
            return
        if not doctest.OutputChecker().check_output(block.code, self.printed, _FLAGS):
            raise AssertionError(f"expected:\n{block.code}\nprinted:\n{self.printed}")


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def main(path: str) -> None:
    """Run a page; the error of a block tells the page and the line."""
    # What the page calls python is this one.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    sys.path.insert(0, "")
    page = Page(path)
    for block in blocks(Path(path).read_text(encoding="utf-8")):
        try:
            page.run(block)
        except BaseException as error:
            error.add_note(f"in the block at {path}:{block.line}")
            raise


if __name__ == "__main__":
    main(sys.argv[1])
