"""What a program written for MLXP 1 does: it works, or the error that it gets is on the page about migration."""

import re
from pathlib import Path

import pytest

import mlxp

PAGE = (Path(__file__).parents[2] / "docs/how-to/migrate.md").read_text(encoding="utf-8")
ERRORS = re.findall(r"^\| `([^`]+)`", PAGE.partition("## If you see this error")[2], re.MULTILINE)


@pytest.fixture(scope="module")
def scope(copy_app, tmp_path_factory):
    """What the statements of a program find: the runs of a sweep, their reader, and a logger."""
    app = copy_app("training", tmp_path_factory.mktemp("training"))
    assert app.run("seed=1,2").returncode == 0
    reader = mlxp.Reader(app.directory / "logs")
    with mlxp.DefaultLogger(tmp_path_factory.mktemp("logs")) as logger:
        yield {"mlxp": mlxp, "pytest": pytest, "reader": reader, "runs": reader.filter(), "logger": logger}


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("[run['config.seed'] for run in runs]", "TypeError: string indices must be integers"),
        ("if runs: pass", "ValueError: The truth value of a DataFrame is ambiguous"),
        ("reader.filter('config.sead == 1')", "there is no field '…'"),
        ("logger.log_metrics({'per': {'a': 1}}, 'train')", "the metric 'per' is of type dict"),
        ("logger.log_metrics({0: 1}, 'train')", "the name of a metric is a str"),
        ("mlxp.Reader('logs', reload=True)", "Reader() has no argument 'reload'"),
        ("logger.log_artifacts(1, 'x', artifact_format='pickle')", "log_artifacts has no argument artifact_format"),
        ("logger.log_artifact(1, 'x')", "object has no attribute 'log_artifact'"),
        ("runs.groupBy('config.seed')", "MLXP 1 renamed groupBy"),
        ("from mlxp.data_structures.schemas import MLXPConfig", "MLXP 2 has no MLXPConfig"),
        ("from mlxp.enumerations import Status", "MLXP 2 has no Status"),
        ("from mlxp.data_structures.config_dict import convert_dict", "MLXP 2 has no convert_dict"),
        ("mlxp.data_structures.artifacts.Artifact_types", "MLXP 2 has no Artifact_types"),
        ("mlxp.scheduler.Schedulers_dict", "MLXP 2 has no Schedulers_dict"),
        ("from mlxp.data_structures.dataframe import DataDict", "MLXP 2 has no DataDict"),
        ("import mlxp.mlxpsub", "No module named 'mlxp.mlxpsub'"),
        ("mlxp.launch(print)", "mlxp.launch takes options before the function"),
    ],
)
def test_error_of_a_program_for_mlxp_1_is_on_the_page(scope, statement, error):
    assert error in ERRORS
    with pytest.raises((TypeError, ValueError, AttributeError, ImportError, KeyError)) as raised:
        exec(statement, dict(scope))
    begin, _, end = error.partition("…")
    assert begin in f"{raised.typename}: {raised.value}"
    assert end in str(raised.value)


def test_every_error_on_the_page_is_tried():
    [mark] = test_error_of_a_program_for_mlxp_1_is_on_the_page.pytestmark
    assert {error for _, error in mark.args[1]} == set(ERRORS)


@pytest.mark.parametrize(
    "statement",
    [
        "import mlxp; mlxp.logger.Logger, mlxp.reader.Reader, mlxp.launcher.launch, mlxp.parser.Parser",
        "from mlxp.data_structures.dataframe import GroupedDataFrame",
        "[runs[place]['config.seed'] for place in range(len(runs))]",
        "runs[0]['val.loss'][-1], list(runs[0]['val.loss']), sum(runs[0]['val.loss'])",
        "mlxp.Reader(logger.parent_log_dir, refresh=True)",
        "assert len(runs + runs) == 4",
        "with pytest.warns(match='no run here has the key'): assert not len(reader.filter('config.other == 1'))",
        "assert runs.diff() == ['config.seed']",
        "assert logger.forced_log_id == -1",
        "vars(mlxp.ConfigDict({'lr': 1}))",
        "mlxp.Context()",
        "runs.merge(runs)",
        "runs.groupby(['config.seed']).aggregate((max, 'config.optimizer.lr'))",
        "runs.toPandas(lazy=False)",
        "reader.filter(\"info.status == 'COMPLETE'\", result_format='pandas')",
        "logger.log_metrics({'loss': 1.0}, log_name='train')",
        "logger.log_checkpoint({'epoch': 1}, 'last'); assert logger.load_checkpoint('last') == {'epoch': 1}",
        "logger.log_checkpoint(3, 'plain'); assert logger.load_artifacts('plain', 'pickle') == 3",
        "logger.log_checkpoint(4, 'infer'); assert logger.load_artifacts('infer') == 4",
        "runs[0]['artifact.pickle.']['checkpoint'].load()",
        "mlxp.launcher.instance_from_dict('fractions.Fraction', {'numerator': 1})",
    ],
)
def test_statement_of_mlxp_1_still_works(scope, statement):
    exec(statement, dict(scope))
