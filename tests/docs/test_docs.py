"""Every code block of the documentation runs, and prints what the page says; run_page.py tells how."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import mlxp
from mlxp.running.settings import DEFAULTS

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts)

PICTURES = [f"explanation/pictures/{name}.svg" for name in ("override", "value")]

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


@pytest.fixture
def run_page(tmp_path):
    """Runs a page in a directory of its own, which has a copy of the examples."""
    shutil.copytree(ROOT / "docs/examples", tmp_path / "docs/examples", ignore=shutil.ignore_patterns("logs"))

    def run(page):
        # Where a page shows a submission, the stand-ins for a scheduler answer; it names the scheduler itself.
        schedulers = {"SCHEDULERS": str(ROOT / "tests/schedulers/fakes"), "FAKE_DIR": str(tmp_path)}
        quiet = {"PYTHONWARNINGS": "default", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
        environment = os.environ | quiet | schedulers
        command = [sys.executable, str(Path(__file__).with_name("run_page.py")), str(page)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.mark.parametrize("page", PAGES)
def test_code_of_the_page_runs(run_page, page):
    for library in re.findall(r"^<!-- needs (\w+) -->$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE):
        pytest.importorskip(library, reason=f"without {library}, the page {page} is NOT tested")
    result = run_page(ROOT / page)
    assert result.returncode == 0, result.stderr


def test_readme_pasted_from_top_to_bottom_runs(run_page, tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    # What the first command installs is here already.
    page, count = re.subn(r"(?m)^python3 -m venv .venv && \S+ install \S+ \S+ && (?=\S+ docs/)", "", readme)
    assert count == 1
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    (programs / "python").chmod(0o755)
    (programs / "activate").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", os.pathsep.join([str(ROOT / "tests/schedulers/fakes/SLURM"), os.environ["PATH"]]))
    result = run_page("README.md")
    assert result.returncode == 0, result.stderr
    assert {"table.tex", "val_loss.pdf"} <= {path.name for path in (tmp_path / "docs/examples/digits").iterdir()}


def headings(page):
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in titles}


def test_links_of_the_readme_lead_somewhere():
    readme = ROOT / "README.md"
    links = re.findall(r'\]\((?!https?:)([^)]+)\)|(?:src|srcset)="([^"]+)"', readme.read_text(encoding="utf-8"))
    assert links
    for link in map("".join, links):
        name, _, anchor = link.partition("#")
        page = ROOT / name if name else readme
        assert page.exists(), link
        assert not anchor or anchor in headings(page), link


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "printed:\n1"),
        ("```pycon\n>>> 1 + 1\n3\n```\n", "Got:\n    2"),
        ("```bash\nfalse\ntrue\n```\n", "exit code 1"),
        ("text\n\n```yaml\na: [1\n```\n", "expected ',' or ']'"),
        ("Write `a/b.py`:\n\n```python\nx = 1\n```\n\n```python\nimport a.b\nassert a.b.x == 2\n```\n", "page.md:7"),
    ],
)
def test_page_that_is_wrong_is_noticed(run_page, tmp_path, page, complaint):
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    result = run_page("page.md")
    assert result.returncode == 1
    assert complaint in result.stderr


def test_hidden_and_skipped_blocks(run_page, tmp_path):
    page = "<!-- python\nx = 3\n-->\n\n```pycon\n>>> x\n3\n```\n\n<!-- not run: wrong -->\n\n```python\n1 / 0\n```\n"
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    assert run_page("page.md").returncode == 0


def code_cells(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_tour_goes_from_a_sweep_to_a_latex_table_in_less_than_forty_lines():
    cells = code_cells(ROOT / "notebooks/tour.ipynb")
    code = "\n".join("".join(cell["source"]) for cell in cells)
    assert ".sweep(" in code
    assert ".to_latex(" in code
    assert sum(bool(line.strip()) for line in code.splitlines()) < 40


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stripped_of_outputs_and_listed(notebook):
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code_cells(notebook))
    assert f"notebooks/{notebook.stem}\n" in (ROOT / "docs/notebooks.md").read_text(encoding="utf-8")


def leaves(settings, prefix=""):
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize(("name", "default"), list(leaves(DEFAULTS)))
def test_every_setting_is_documented_with_its_default(name, default):
    shown = str(default).lower() if isinstance(default, bool) else f"{default:g}" if type(default) is float else default
    shown = {None: "null", "": '""'}.get(default, shown) if default is None or default == "" else shown
    assert f"| `{name}` | `{shown}` |" in (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["contributing.md", *PICTURES])
def test_files_that_contributors_are_sent_to_are_there(text):
    named = re.findall(r"[\w/-]+/[\w-]+\.(?:py|md|toml)\b", (ROOT / "docs" / text).read_text(encoding="utf-8"))
    folders = (ROOT, ROOT / "docs", ROOT / "mlxp", ROOT / "reader/mlxp_reader")
    assert named
    assert [name for name in named if not any((folder / name).is_file() for folder in folders)] == []


@pytest.mark.parametrize("name", mlxp.__all__)
def test_every_public_name_is_in_the_reference(name):
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
    assert re.search(rf"^\.\. auto\w+:: mlxp\.{name}(\(\))?$", "".join(pages), re.MULTILINE)


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_every_extra_is_in_the_table_of_the_installation_page(extra):
    assert f"\n| `{extra}` |" in (ROOT / "docs/installation.md").read_text(encoding="utf-8")


def test_citation_file_cites_the_paper_of_the_readme():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    paper = cited["preferred-citation"]
    assert PROJECT["urls"]["Paper"] == paper["url"]
    assert cited["repository-code"] == PROJECT["urls"]["Homepage"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("{", "").replace("}", "")
    assert f"title = {paper['title']}," in readme
    people = [f"{one['given-names']} {one['family-names']}" for one in paper["authors"]]
    assert f"author = {' and '.join(people)}," in readme
