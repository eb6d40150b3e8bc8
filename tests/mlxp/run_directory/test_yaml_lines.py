from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from mlxp.run_directory import yaml_lines

DATA = Path(__file__).parents[2] / "data"

SCALARS = """\
10. 1e-3 1.5e-3 1E+3 .5 -0 -0.0 014 0o14 0x1F 1_000 1:20 on off yes No TRUE null ~ Null nan .nan .inf -.inf
2026-11-22 2026-11-22T10:00:00Z 22/11/2026 <<  = abc /home/me a=b 'x' 'it''s' '' "tab\\t" --- ... -- -1 +1 [] {}
9223372036854775808 123456789012345678901234567890 a:b 'a: b' y n True 0.1.2 1.0.5 -foo ?x :x @x %x `x !x &x *x |x >x
""".split()  # noqa: SIM905 - read best as lines


def outcome(load, text):
    try:
        return repr(load(text))
    except (yaml.YAMLError, ValueError, TypeError):
        return "error"


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize("form", ["key: {}\n", "key:\n- {}\n", "{}: 1\n", "a:\n  b: {}\nc: {}\n", "key: {}\n  more\n"])
def test_every_scalar_is_typed_as_by_pyyaml(scalar, form):
    text = form.replace("{}", scalar)
    assert outcome(yaml_lines.load, text) == outcome(yaml.safe_load, text)


words = st.sampled_from([*SCALARS, "a", "b", "c: d", "- x", "# note", "a b", "é"])
lines = st.builds(
    lambda indent, form, word: " " * indent + form.format(word),
    st.integers(0, 4),
    st.sampled_from(["key: {}", "k2: {}", "key:", "other:", "- {}", "-", "{}", "{}:", "- key: {}", "", "key:  {} "]),
    words.filter(lambda word: "{" not in word),
)


@given(st.lists(lines, max_size=8).map("\n".join))
@example("a: 1\n\ta: 2\n")
@example("a:\n- 1\n - 2\n")
@example("a: 1\na:\n  b: 2\na: 3\n")
@example("a: x\r\nb: y\x85c: d\n")
@example("\ufeffa: 1\n")
def test_any_lines_mean_what_they_mean_to_pyyaml(text):
    assert outcome(yaml_lines.load, text) == outcome(yaml.safe_load, text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_what_a_dumper_wrote_comes_back(config):
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    assert outcome(yaml_lines.load, text) == outcome(yaml.safe_load, text)


RECORDED = [path for path in sorted(DATA.glob("**/*.yaml")) if DATA / "importers" not in path.parents]  # of other tools


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: "-".join(path.parts[-4:]))
def test_recorded_files_are_read_as_by_pyyaml(path):
    text = path.read_text(encoding="utf-8")
    assert repr(yaml_lines.load(text)) == repr(yaml.safe_load(text))


def test_files_of_a_dumper_need_no_pyyaml(monkeypatch):
    text = (DATA / "mlxp-1.0.5-logs/logs/1/metadata/config.yaml").read_text(encoding="utf-8")
    yaml_lines.load(text)
    monkeypatch.setattr(yaml_lines.yaml, "load", None)
    assert yaml_lines.load(text)["optimizer"]["betas"] == [0.9, 0.999]


def test_empty_collections_are_not_shared_between_files():
    yaml_lines.load("a: []\n")["a"].append(1)
    assert yaml_lines.load("a: []\n") == {"a": []}


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 5_000])
def test_bottomless_nesting_is_an_error(text):
    with pytest.raises(yaml.YAMLError, match=r"100 levels|while parsing"):
        yaml_lines.load(text)
