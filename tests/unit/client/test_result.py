"""An answer in hand keeps hidden numbers apart from zero, in pandas, Arrow and on paper."""

import pandas as pd
import pyarrow as pa
import pytest

from dure.client.problems import Unwritable
from dure.client.result import Result


@pytest.fixture
def result(report):
    return Result(report, {"north": "North Hospital"})


def test_tables_are_nullable_numbers(result):
    table = result.tables["by_sex"]
    assert table.dtypes.astype(str).to_dict() == {
        "hospital": "string",
        "sex": "string",
        "people": "Int64",
        "outcomes": "Int64",
        "rate_per_1000_person_years": "Float64",
        "rate_low": "Float64",
        "rate_high": "Float64",
    }
    assert table.people.tolist() == [100, pd.NA, 0]


def test_hidden_says_which_are_kept_back(result):
    hidden = result.hidden["by_sex"]
    assert hidden.people.tolist() == [False, True, False]
    assert hidden.rate_low.tolist() == [False, True, False]


def test_arrow_tables_have_null_where_hidden(result):
    table = result.arrow["by_sex"]
    assert table.schema.field("people").type == pa.int64()
    assert table["people"].to_pylist() == [100, None, 0]


def test_charts_are_altair(result):
    charts = result.charts()
    assert list(charts) == ["Incidence by sex"]
    assert charts["Incidence by sex"].to_dict()["data"]["values"]


def test_the_file_is_written_whole_and_replaced(result, tmp_path):
    path = result.to_html(tmp_path / "r.html")
    assert "North Hospital" in path.read_text()
    assert result.to_html(path, language="ko").read_text() != ""
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_a_folder_that_is_a_file_is_said(result, tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(Unwritable):
        result.to_html(tmp_path / "f" / "r.html")
