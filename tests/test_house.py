"""The house stays one that can be lived in: no room grows beyond what a reader keeps in mind."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("mlxp", "reader") for path in (ROOT / folder).rglob("*.py"))


def too_long(module, lines_of_module=450, lines_of_class=250):
    text = module.read_text(encoding="utf-8")
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    classes = [node.name for node in nodes if node.end_lineno - node.lineno >= lines_of_class]
    return classes + [module.name] * (len(text.splitlines()) > lines_of_module)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_is_longer_than_450_lines_and_no_class_than_250(module):
    assert too_long(module) == []


def test_what_is_too_long_is_named(tmp_path):
    (tmp_path / "long.py").write_text("class Long:\n" + 450 * "    x = 1\n", encoding="utf-8")
    assert too_long(tmp_path / "long.py") == ["Long", "long.py"]
