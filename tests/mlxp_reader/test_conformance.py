"""pandas' own test suite for extension arrays, run on ours; each test that cannot pass is named with its reason."""

import numpy as np
import pandas as pd
import pytest
from pandas.tests.extension import base
from pandas.tests.extension.conftest import *  # noqa: F403 - the fixtures that the suite takes

from mlxp_reader.artifacts import ArtifactArray, ArtifactFolder
from mlxp_reader.lazy import MetricArray
from mlxp_reader.mixed import MixedArray

EXPECTED = {}


def metric(numbers):
    return MetricArray.of([np.nan if n is None else [float(n), float(n * n), 0.5][: n % 2 + 2] for n in numbers])


def mixed(numbers):
    kinds = [lambda n: n, lambda n: f"n{n:03}", lambda n: [n, n], lambda n: n / 4]
    return MixedArray.of([np.nan if n is None else kinds[n % 4](n) for n in numbers])


@pytest.fixture(params=[metric, mixed], ids=["metric", "mixed"])
def make(request):
    return request.param


class TestColumn(base.ExtensionTests):
    @pytest.fixture(autouse=True)
    def _expected(self, request):
        reason = EXPECTED.get(request.node.originalname)
        if reason:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    @pytest.fixture
    def data(self, make):
        return make(range(1, 11))

    @pytest.fixture
    def dtype(self, data):
        return data.dtype

    @pytest.fixture
    def data_missing(self, make):
        return make([None, 1])

    @pytest.fixture
    def data_for_sorting(self, make):
        return make([5, 9, 1])

    @pytest.fixture
    def data_missing_for_sorting(self, make):
        return make([5, None, 1])

    @pytest.fixture
    def data_for_grouping(self, make):
        return make([5, 5, None, None, 1, 1, 5, 9])

    @pytest.fixture
    def na_cmp(self):
        return lambda a, b: pd.isna(a) and pd.isna(b)

    @pytest.fixture
    def invalid_scalar(self, make):
        return 12 if make is metric else pytest.skip("every value is valid")
