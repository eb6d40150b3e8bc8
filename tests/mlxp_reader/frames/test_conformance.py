"""pandas' own test suite for extension arrays, run on ours; each test that cannot pass is named with its reason."""

import fnmatch

import numpy as np
import pandas as pd
import pytest
from pandas.tests.extension import base
from pandas.tests.extension.conftest import *  # noqa: F403 - the fixtures that the suite takes

if PANDAS_2 := pd.__version__ < "3":
    from pandas.conftest import (  # noqa: F401 - pandas 3 does without these fixtures
        all_arithmetic_operators,
        all_boolean_reductions,
        all_numeric_accumulations,
        all_numeric_reductions,
        comparison_op,
        sort_by_key,
    )

from mlxp_reader.columns.artifacts import ArtifactArray, ArtifactFolder
from mlxp_reader.columns.metric_array import MetricArray
from mlxp_reader.columns.mixed import MixedArray

ONE_CELL = "pandas takes a list-like cell for several values"
BY_POSITION = "pandas.testing compares mappings by position"
EXPECTED = {
    "test_setitem_sequence_broadcasts[[]metric-True]": ONE_CELL,
    "test_setitem_loc_scalar_m*[[]metric]": ONE_CELL,
    "test_setitem_iloc_scalar_m*[[]metric]": ONE_CELL,
    "test_arith_frame_with_scalar[[]metric-__[!r]*": ONE_CELL,
    "test_fillna_series[[]metric]": ONE_CELL,
    "test_fillna_frame[[]metric]": ONE_CELL,
    "test_fillna_limit_[fs]*[[]metric]": ONE_CELL,
    "test_fillna_copy_*[[]metric]": ONE_CELL,
    "test_from_dtype[[]metric]": ONE_CELL,
    "test_series_constructor_scalar_with_index[[]metric]": ONE_CELL,
    "test_setitem_mask[[]artifact-True*": ONE_CELL,
    "test_setitem_mask_boolean_array_with_na[[]artifact-True]": ONE_CELL,
    "test_setitem_mask_broadcast[[]artifact-*": ONE_CELL,
    "test_setitem_integer_array[[]artifact-True*": ONE_CELL,
    "test_setitem_slice[[]artifact-True]": ONE_CELL,
    "test_setitem_loc_iloc_slice[[]artifact]": ONE_CELL,
    "test_setitem_sequence_broadcasts[[]artifact-True]": ONE_CELL,
    "test_setitem_*loc_scalar_m*[[]artifact]": ONE_CELL,
    "test_arith_frame_with_scalar[[]artifact-*": ONE_CELL,
    "test_fillna_limit_[fs]*[[]artifact]": ONE_CELL,
    "test_fillna_copy_*[[]artifact]": ONE_CELL,
    "test_fillna_series[[]artifact]": ONE_CELL,
    "test_fillna_frame[[]artifact]": ONE_CELL,
    "test_from_dtype[[]artifact]": ONE_CELL,
    "test_series_constructor_scalar_with_index[[]artifact]": ONE_CELL,
    "test_where_series_listlike_other[[]artifact]": ONE_CELL,
    "test_mask_listlike_other_inplace[[]artifact]": ONE_CELL,
    "test_value_counts[[]artifact*": BY_POSITION,
    "test_value_counts_with_normalize[[]artifact]": BY_POSITION,
    "test_groupby_extension_agg[[]artifact-True]": BY_POSITION,
    "test_groupby_extension_no_sort[[]artifact]": BY_POSITION,
    "test_groupby_apply_identity[[]artifact]": BY_POSITION,
    "test_json_roundtrip[[]artifact]": "JSON has the names only",
    "test_loc_setitem_with_expansion_preserves_ea_index_dtype[[]metric]": ONE_CELL,
    "test_loc_setitem_with_expansion_preserves_ea_index_dtype[[]artifact]": ONE_CELL,
    "test_plot_on_y_axis*": "neither curves nor mixed values are numbers",
    "test_readonly_propagates_to_numpy_array_method*": "a copy of the cells, which pandas marks as read-only",
    "test_combine_le*": "two curves, or a number and a string, have no order",
    "test_compare_*[[]mixed-[gl]*": "comparing mixed values never raises, unlike one by one in Python",
    "test_contains[[]mixed*": "None is a value here",
    "test_map[[]mixed*": "what a function returns gets the type that fits it",
    "test_concat_mixed_dtypes[[]mixed]": "numbers and texts below mixed values are values, too",
    "test_combine_add[[]mixed]": "a number and a string have no sum",
    "test_add_series_with_extension_array[[]mixed]": "two numbers have a sum, and two texts, as objects have in pandas",
    "test_in_numeric_groupby[[]mixed]": "groups of numbers have a sum, and groups of texts, as objects have in pandas",
    "test_arith_*_with_scalar[[]mixed-__rmod__]": "a string formats anything",
    "test_arith_series_with_array[[]mixed-__radd__]": "numpy adds objects one by one",
}
PASSES = ""
if PANDAS_2:
    EXPECTED |= {
        "test_arith_frame_with_scalar[[]artifact-*": PASSES,
        "test_arith_series_with_array[[]mixed-__radd__]": PASSES,
        "test_concat_mixed_dtypes[[]mixed]": PASSES,
        "test_map[[]mixed*": PASSES,
        "test_setitem_mask_broadcast[[]metric-*": ONE_CELL,
        "test_compare_*[[]mixed-eq]": "pandas 2 gives what a function of two columns returns the type of the first",
        "test_compare_*[[]mixed-ne]": "pandas 2 gives what a function of two columns returns the type of the first",
    }


def metric(numbers):
    return MetricArray.of([np.nan if n is None else [float(n), float(n * n), 0.5][: n % 2 + 2] for n in numbers])


def mixed(numbers):
    kinds = [lambda n: n, lambda n: f"n{n:03}", lambda n: n / 4, lambda n: [n, n]]
    return MixedArray.of([np.nan if n is None else kinds[n % 4](n) for n in numbers])


def artifact(numbers):
    folders = [np.nan if n is None else ArtifactFolder("logs/1", "pickle", "", (f"{n:03}.pkl",)) for n in numbers]
    return ArtifactArray.of(folders)


@pytest.fixture(params=[metric, mixed, artifact], ids=["metric", "mixed", "artifact"])
def make(request):
    return request.param


# pandas 2 asks in places for errors whose message matches "", which pytest takes for a slip.
@pytest.mark.filterwarnings("default:matching against an empty string:pytest.PytestWarning")
class TestColumn(base.ExtensionTests):
    @pytest.fixture(autouse=True)
    def _expected(self, request):
        reasons = [reason for pattern, reason in EXPECTED.items() if fnmatch.fnmatch(request.node.name, pattern)]
        if reasons and reasons[-1] != PASSES:
            request.applymarker(pytest.mark.xfail(reason=reasons[-1], strict=True))

    @pytest.fixture
    def data(self, make):
        return make(range(1, 101 if PANDAS_2 else 11))

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
        return pytest.skip("every value is valid") if make is mixed else 12
