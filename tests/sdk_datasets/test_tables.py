"""Datasets of tables: how files are read, and what is done with rows and columns.

The expected values are those of azureml-core 1.61 with its dataset runtime, given the same files by a web server,
unless a test says otherwise.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import pytest
from pandas import Timestamp
from tests.sdk_datasets.conftest import Fill

from azureml.core import Dataset
from azureml.data import DataType, TabularDataset
from azureml.data.dataset_error_handling import DatasetExecutionError, DatasetValidationError
from azureml.data.dataset_type_definitions import PromoteHeadersBehavior
from azureml.exceptions import DatasetTimestampMissingError, UserErrorException

if TYPE_CHECKING:
    from azureml.core import Workspace

ONE = "a,b,c\n1,x,2019-01-01\n2,y,2019-01-02\n3,,2019-01-03\n"
TWO = "a,b,c\n4,z,2019-02-01\n"
T = Dataset.Tabular


def _table(frame: Any) -> dict[str, list[Any]]:
    """Columns as lists, with None for what is missing."""
    return {name: [None if pandas.isna(v) else v for v in frame[name].tolist()] for name in frame.columns}


def _read(fill: Fill, files: dict[str, str | bytes], **settings: Any) -> Any:
    store = fill({f"t/{name}": content for name, content in files.items()})
    return T.from_delimited_files([(store, f"t/{name}") for name in files], **settings).to_pandas_dataframe()


def test_types_of_columns(fill: Fill) -> None:
    frame = _read(fill, {"one.csv": ONE, "two.csv": TWO})
    assert _table(frame) == {
        "a": [1, 2, 3, 4],
        "b": ["x", "y", None, "z"],
        "c": [Timestamp(2019, 1, 1), Timestamp(2019, 1, 2), Timestamp(2019, 1, 3), Timestamp(2019, 2, 1)],
    }
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "a": "int64",
        "b": "object",
        "c": "datetime64[ns]",
    }
    assert frame["b"][2] is None


@pytest.mark.parametrize(
    ("content", "settings", "columns", "types"),
    [
        (
            "f,g,h,i,j\nTrue,1.5,2019-01-01T00:00:00Z,01:02,1e5\nfalse,2,2019-01-02 03:04:05,03:04,2\n",
            {},
            {
                "f": [True, False],
                "g": [1.5, 2.0],
                "h": [Timestamp(2019, 1, 1), Timestamp(2019, 1, 2, 3, 4, 5)],
                "i": ["01:02", "03:04"],
                "j": [100000.0, 2.0],
            },
            ["bool", "float64", "datetime64[ns]", "object", "float64"],
        ),
        ("a,b\n1,x\ny,2\n", {}, {"a": ["1", "y"], "b": ["x", "2"]}, ["object", "object"]),
        (
            "a,b,c\n1,,\n,NA,nan\n3,null,x\n",
            {},
            {"a": [1.0, None, 3.0], "b": [None, "NA", "null"], "c": [None, "nan", "x"]},
            ["float64", "object", "object"],
        ),
        (
            "a,b,c\n1,,\n,NA,nan\n3,null,x\n",
            {"empty_as_string": True},
            {"a": ["1", "", "3"], "b": ["", "NA", "null"], "c": ["", "nan", "x"]},
            ["object", "object", "object"],
        ),
        ("a,a,\n4,2,3\n", {}, {"a": [4], "a_1": [2], "Column3": [3]}, ["int64", "int64", "int64"]),
        (
            "d,e,f\n01/02/2019,31.12.2019,2019/02/03\n",
            {},
            {"d": [Timestamp(2019, 1, 2)], "e": ["31.12.2019"], "f": [Timestamp(2019, 2, 3)]},
            ["datetime64[ns]", "object", "datetime64[ns]"],
        ),
        ("z\n007\n010\n", {}, {"z": [7, 10]}, ["int64"]),
        ("z\n007\n010\n", {"set_column_types": {"z": DataType.to_string()}}, {"z": ["007", "010"]}, ["object"]),
        (
            "a,b,c\n1,2\n3,4,5,6\n",
            {},
            {"a": [1, 3], "b": [2, 4], "c": [None, 5.0], "Column4": [None, 6.0]},
            ["int64", "int64", "float64", "float64"],
        ),
        (
            'a,b\n"x, y",1\n"line\nbreak",2\n',
            {"support_multi_line": True},
            {"a": ["x, y", "line\nbreak"], "b": [1, 2]},
            ["object", "int64"],
        ),
        (ONE, {"infer_column_types": False}, {"a": ["1", "2", "3"]}, ["object", "object", "object"]),
        ("a;b\n1;2,5\n", {"separator": ";"}, {"a": [1], "b": ["2,5"]}, ["int64", "object"]),
        ("a\tb\n1\t2\n", {"separator": "\t"}, {"a": [1], "b": [2]}, ["int64", "int64"]),
        ("a||b\n1||2\n", {"separator": "||"}, {"a": [1], "b": [2]}, ["int64", "int64"]),
        # Here another way than Azure's: a column of 0 and 1 is one of numbers.
        ("y\n0\n1\n", {}, {"y": [0, 1]}, ["int64"]),
    ],
)
def test_delimited_files(
    fill: Fill, content: str, settings: dict[str, Any], columns: dict[str, list[Any]], types: list[str]
) -> None:
    frame = _read(fill, {"x.csv": content}, **settings)
    table = _table(frame)
    assert {name: table[name] for name in columns} == columns
    assert [str(kind) for kind in frame.dtypes] == types


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (True, {"a": [1, 3], "b": [2, 4]}),
        ("ALL_FILES_HAVE_SAME_HEADERS", {"a": [1, 3], "b": [2, 4]}),
        (False, {"Column1": ["a", "1", "b", "3"], "Column2": ["b", "2", "c", "4"]}),
        ("NO_HEADERS", {"Column1": ["a", "1", "b", "3"], "Column2": ["b", "2", "c", "4"]}),
        ("ONLY_FIRST_FILE_HAS_HEADERS", {"a": ["1", "b", "3"], "b": ["2", "c", "4"]}),
        ("COMBINE_ALL_FILES_HEADERS", {"a": [1, None], "b": [2, 3], "c": [None, 4]}),
    ],
)
def test_headers(fill: Fill, header: Any, columns: dict[str, list[Any]]) -> None:
    if isinstance(header, str):
        header = PromoteHeadersBehavior[header]
    assert _table(_read(fill, {"1.csv": "a,b\n1,2\n", "2.csv": "b,c\n3,4\n"}, header=header)) == columns


def test_encodings(fill: Fill) -> None:
    assert _table(_read(fill, {"x.csv": "n\nÄ\n".encode("cp1252")}, encoding="windows1252")) == {"n": ["Ä"]}
    assert _table(_read(fill, {"y.csv": b"\xef\xbb\xbfn\n\xc3\x84\n"})) == {"n": ["Ä"]}
    assert _table(_read(fill, {"z.csv": "n\nÄ\n".encode("utf-16")}, encoding="utf16")) == {"n": ["Ä"]}
    with pytest.raises(DatasetExecutionError, match="is not delimited text"):
        _read(fill, {"bad.csv": b"n\n\xff\xfe\xff\n"})


def test_columns_from_paths(fill: Fill) -> None:
    store = fill({"w/fl/2019/01/data.csv": "v\n1\n", "w/fl/2019/12/data.csv": "v\n2\n3\n"})
    table = T.from_delimited_files(
        (store, "w/**/data.csv"), include_path=True, partition_format="w/{state}/{month:yyyy/MM}/data.csv"
    )
    assert _table(table.to_pandas_dataframe()) == {
        "Path": ["/w/fl/2019/01/data.csv", "/w/fl/2019/12/data.csv", "/w/fl/2019/12/data.csv"],
        "state": ["fl"] * 3,
        "month": [Timestamp(2019, 1, 1), Timestamp(2019, 12, 1), Timestamp(2019, 12, 1)],
        "v": [1, 2, 3],
    }
    slashed = T.from_delimited_files((store, "w/**"), partition_format="/{year}/{month}/{file}.csv")
    assert list(slashed.to_pandas_dataframe().columns) == ["year", "month", "file", "v"]
    with pytest.raises(DatasetExecutionError, match="does not end in the form"):
        T.from_delimited_files((store, "w/**"), partition_format="{x}/other.csv").to_pandas_dataframe()
    for bad in ("data.csv", "{a b}/x", "{a}/{a}/x", "{t:qq}/x", "{t:yyyy/yyyy}/x", "{t:/}/x", 3):
        with pytest.raises(UserErrorException, match="partition_format"):
            T.from_delimited_files((store, "w/**"), partition_format=bad)  # type: ignore[arg-type]


def test_set_column_types(fill: Fill) -> None:
    content = 'd,e,n,m,b\n01/02/2019,31.12.2019,1,"1.234,5",1\n,x,y,"2,5",0\n'
    types = {
        "d": DataType.to_datetime("%d/%m/%Y"),
        "e": DataType.to_datetime(["%Y", "%d.%m.%Y"]),
        "n": DataType.to_long(),
        "m": DataType.to_float(decimal_mark=","),
        "b": DataType.to_bool(),
        "not there": DataType.to_string(),
    }
    store = fill({"x.csv": content})
    table = T.from_delimited_files((store, "x.csv"), set_column_types=types)
    frame = table.to_pandas_dataframe()
    assert _table(frame) == {
        "d": [Timestamp(2019, 2, 1), None],
        "e": [Timestamp(2019, 12, 31), None],
        "n": [1.0, None],
        "m": [1234.5, 2.5],
        "b": [True, False],
    }
    with pytest.raises(DatasetExecutionError, match=r"column 'e': 'x' is no datetime"):
        table.to_pandas_dataframe(on_error="fail")
    with pytest.raises(UserErrorException, match="on_error"):
        table.to_pandas_dataframe(on_error="x")


def test_json_lines(fill: Fill) -> None:
    store = fill({"l.jsonl": '{"a":1,"b":{"c":2}}\n\n{"a":2,"d":"x"}\n', "bad.jsonl": '{"a":1}\nnope\n[1]\n{"a":2}\n'})
    frame = T.from_json_lines_files((store, "l.jsonl")).to_pandas_dataframe()
    assert _table(frame[["a", "d"]]) == {"a": [1, 2], "d": [None, "x"]}
    assert frame["b"][0] == {"c": 2}
    with pytest.raises(DatasetExecutionError, match=r"/bad\.jsonl: line 2: is not JSON"):
        T.from_json_lines_files((store, "bad.jsonl")).to_pandas_dataframe()
    kept = T.from_json_lines_files((store, "bad.jsonl"), invalid_lines="drop").to_pandas_dataframe()
    assert _table(kept) == {"a": [1, 2]}
    with pytest.raises(UserErrorException, match="invalid_lines"):
        T.from_json_lines_files((store, "l.jsonl"), invalid_lines="x")


def test_parquet(fill: Fill, workspace: Workspace, tmp_path: Path) -> None:
    frame = pandas.DataFrame({"a": [1, 2], "t": [datetime(2019, 1, 1), datetime(2019, 1, 2)]})
    frame.to_parquet(tmp_path / "x.parquet")
    store = fill({"p/1.parquet": (tmp_path / "x.parquet").read_bytes(), "p/2.parquet": b"no parquet"})
    table = T.from_parquet_files((store, "p/1.parquet"), include_path=True)
    assert table.to_pandas_dataframe()["a"].tolist() == [1, 2]
    with pytest.raises(DatasetExecutionError, match="cannot be read as Parquet"):
        T.from_parquet_files((store, "p/*.parquet")).to_pandas_dataframe()
    made = T.register_pandas_dataframe(frame, (store, "out"), "frame", show_progress=False, tags={"k": "v"})
    assert (made.version, made.tags) == (1, {"k": "v"})
    assert Dataset.get_by_name(workspace, "frame").to_pandas_dataframe()["a"].tolist() == [1, 2]
    assert T.register_pandas_dataframe(frame, (store, "out"), "frame", show_progress=False).version == 2


@pytest.fixture
def rows(fill: Fill) -> TabularDataset:
    content = "n,k,when\n" + "".join(f"{n},{n % 3 + 1},2019-01-{n + 1:02}\n" for n in range(30))
    made: TabularDataset = T.from_delimited_files((fill({"rows.csv": content}), "rows.csv"))
    return made


def test_choosing_rows_and_columns(rows: TabularDataset) -> None:
    def numbers(table: TabularDataset) -> list[int]:
        frame = table.to_pandas_dataframe()
        assert frame.index.tolist() == list(range(len(frame)))
        return [int(n) for n in frame["n"]]

    assert numbers(rows.take(3)) == [0, 1, 2] and numbers(rows.skip(28)) == [28, 29]
    assert numbers(rows.skip(1).take(2)) == [1, 2] and numbers(rows.take(0)) == []
    first, second = rows.random_split(0.5, seed=1)
    assert sorted(numbers(first) + numbers(second)) == list(range(30)) and 3 < len(numbers(first)) < 27
    assert numbers(rows.random_split(percentage=0.5, seed=1)[0]) == numbers(first)
    assert numbers(rows.take_sample(0.3, 5)) == numbers(rows.take_sample(0.3, 5))
    assert list(rows.keep_columns(["k", "n", "zz"]).to_pandas_dataframe().columns) == ["n", "k"]
    assert list(rows.drop_columns("k").drop_columns(["zz"]).to_pandas_dataframe().columns) == ["n", "when"]
    with pytest.raises(UserErrorException, match="none of the columns zz"):
        rows.keep_columns(["zz"]).to_pandas_dataframe()
    with pytest.raises(UserErrorException, match="none of the columns zz"):
        rows.keep_columns(["zz"], validate=True)
    for bad in (None, [], [1], 3):
        with pytest.raises(ValueError):
            rows.keep_columns(bad)  # type: ignore[arg-type]
        with pytest.raises(ValueError):
            rows.drop_columns(bad)  # type: ignore[arg-type]


def test_times(rows: TabularDataset) -> None:
    table = rows.with_timestamp_columns(timestamp="when")

    def days(chosen: TabularDataset) -> list[int]:
        return [when.day for when in chosen.to_pandas_dataframe()["when"]]

    assert days(table.time_before(datetime(2019, 1, 2))) == [1, 2]
    assert days(table.time_before(datetime(2019, 1, 2), include_boundary=False)) == [1]
    assert days(table.time_after(datetime(2019, 1, 29))) == [29, 30]
    assert days(table.time_after(datetime(2019, 1, 29), include_boundary=False)) == [30]
    assert days(table.time_between(datetime(2019, 1, 3), datetime(2019, 1, 4))) == [3, 4]
    assert days(table.time_after(datetime(2019, 1, 3)).time_before(datetime(2019, 1, 4))) == [3, 4]
    assert days(table.time_after(datetime(2019, 1, 30, tzinfo=timezone(timedelta(hours=1))))) == [30]
    assert days(table.time_recent(timedelta(days=2))) == []
    assert len(days(table.time_recent(timedelta(days=365 * 200)))) == 30
    for lost in (
        table.drop_columns(["when"]),
        table.keep_columns(["n"]),
        table.with_timestamp_columns(None, None),
        rows,
    ):
        assert lost.timestamp_columns == (None, None)
        with pytest.raises(DatasetTimestampMissingError, match="Cannot perform time-series filter"):
            lost.time_before(datetime(2019, 1, 2))
    assert table.keep_columns(["n", "when"]).timestamp_columns == ("when", None)
    assert rows.with_timestamp_columns(fine_grain_timestamp="when").timestamp_columns == ("when", None)
    with pytest.raises(UserErrorException, match="only if timestamp is assigned"):
        rows.with_timestamp_columns(None, "when")
    with pytest.raises(UserErrorException, match="cannot be the same"):
        rows.with_timestamp_columns("when", "when")
    with pytest.raises(UserErrorException, match="holds no times"):
        rows.with_timestamp_columns("n", validate=True)
    with pytest.raises(UserErrorException, match="is not in the table"):
        rows.with_timestamp_columns("zz").time_before(datetime(2019, 1, 1)).to_pandas_dataframe()


@pytest.mark.parametrize(
    "settings",
    [
        {"separator": 5},
        {"separator": ""},
        {"encoding": "klingon"},
        {"header": "x"},
        {"set_column_types": {"f": "str"}},
        {"set_column_types": [1]},
    ],
)
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(UserErrorException):
        T.from_delimited_files("http://x/y.csv", **settings)


def test_data_that_is_not_there(fill: Fill, web: tuple[str, Path]) -> None:
    with pytest.raises(DatasetValidationError):
        T.from_delimited_files((fill({"x.csv": "a\n"}), "nope.csv"))
    with pytest.raises(DatasetExecutionError, match="404"):
        T.from_delimited_files(f"{web[0]}/nope.csv").to_pandas_dataframe()


def test_files_of_the_web(web: tuple[str, Path]) -> None:
    address, folder = web
    (folder / "one.csv").write_text(ONE)
    frame = T.from_delimited_files(f"{address}/one.csv", include_path=True).to_pandas_dataframe()
    assert frame["Path"].tolist() == [f"{address}/one.csv"] * 3


def test_without_pandas_and_pyarrow(rows: TabularDataset, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserErrorException, match=r"'pyarrow'.*localaml-sdk\[datasets\]"):
        T.from_parquet_files((fill({"x.parquet": "x"}), "x.parquet")).to_pandas_dataframe()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserErrorException, match=r"'pandas'.*localaml-sdk\[datasets\]"):
        rows.to_pandas_dataframe()


@pytest.mark.parametrize(
    "use",
    [
        lambda d: d.to_spark_dataframe(),
        lambda d: d.to_dask_dataframe(),
        lambda d: d.to_csv_files(),
        lambda d: d.to_parquet_files(),
        lambda d: d.filter(None),
        lambda d: d.partition_by(["a"], None),
        lambda d: d.get_profile(),
        lambda d: d.download("a"),
        lambda d: d.mount("a"),
        lambda d: d.data_changed_time,
        lambda d: T.from_sql_query("SELECT 1"),
        lambda d: DataType.to_stream(None),
    ],
)
def test_what_is_missing_is_refused_by_name(use: Any) -> None:
    with pytest.raises(UserErrorException, match="LocalAML does not support"):
        use(T.from_delimited_files("http://x/y.csv"))
