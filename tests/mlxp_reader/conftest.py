import shutil
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")

RECORDED = Path(__file__).parents[1] / "data" / "mlxp-1.0.5-logs" / "logs"


@pytest.fixture
def recorded(tmp_path):
    """A copy of the twelve runs recorded with MLXP 1.0.5."""
    return Path(shutil.copytree(RECORDED, tmp_path / "recorded"))
