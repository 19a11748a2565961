"""CSV files of any quality: every regular record becomes a row of text, every other line is set aside.

polars fills missing trailing fields with nulls and stops at ragged lines, so the raw bytes are judged first:
a vectorised scan finds the records, their line numbers and field counts. Good records go to polars in one
piece. Files whose quotes are broken (an inch mark at the start of a field, a quote never closed) are read
line by line instead; there a broken quote costs its own line and not the rest of the file.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.errors import InputError

CHUNK = 8 << 20  # bytes scanned at once; bounds the memory of the scan
LONGEST_RECORD = 50  # lines that one quoted field may span before its opening quote is taken as stray
BATCH = 100_000  # rows turned into a frame at once when reading line by line
QUOTE, NEWLINE, RETURN = 34, 10, 13
BOM = codecs.BOM_UTF8
BROKEN = {"source_row": pl.Int64, "rule": pl.String, "value": pl.String}


class CsvRows(NamedTuple):
    table: pl.DataFrame  # all columns String
    lines: pl.Series  # Int64: line of the file on which each row starts, the header is on line 1
    broken: pl.DataFrame  # columns BROKEN: lines that are no records


@dataclass(frozen=True)
class Records:
    """One entry per record, the header included; `end` is one past the record's newline."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    line: NDArray[np.int64]
    fields: NDArray[np.int64]
    blank: NDArray[np.bool_]
    quoted: bool  # the file holds quotes
    proper: bool  # every quote opens at the start of a field and closes at its end


def read_csv_bytes(data: bytes, name: str, *, separator: str = ",", encoding: str = "utf8") -> CsvRows:
    """All records of one CSV file; InputError where not even the header can be read."""
    if len(separator) != 1 or not separator.isascii():
        raise InputError(f"separator {separator!r} of {name} must be one ASCII character, e.g. ',' or '\\t'")
    lossy = encoding.lower() == "utf8-lossy"
    data = _as_utf8(data, encoding, name).removeprefix(BOM)
    header = _header(data, separator, lossy, name)
    records = _scan(data, ord(separator))
    if records.proper and records.fields[0] == len(header):
        rows = _read_regular(data, records, header, separator, lossy)
        if rows is not None:
            return rows
    return _read_line_by_line(data, header, separator, lossy)


def _as_utf8(data: bytes, encoding: str, name: str) -> bytes:
    """UTF-8 bytes; what the codec cannot read becomes bytes that are no UTF-8, so its line is found later."""
    if encoding.lower() in ("utf8", "utf-8", "utf8-lossy", "utf-8-sig"):
        return data
    try:
        return data.decode(encoding, "surrogateescape").encode("utf8", "surrogatepass")
    except LookupError:
        raise InputError(f"encoding {encoding!r} of {name} is unknown; use utf8, utf8-lossy, latin-1 …") from None
    except UnicodeError as error:
        raise InputError(f"{name} is not {encoding}: {error}; set its encoding") from None


def _header(data: bytes, separator: str, lossy: bool, name: str) -> list[str]:
    lines = data[: 1 << 20].split(b"\n", LONGEST_RECORD)
    cells, rule, _ = _record(lines, 0, separator, lossy)
    if rule == "encoding":
        raise InputError(f"the header of {name} is not UTF-8; set its encoding, e.g. latin-1 or utf-16")
    if rule or not any(cell.strip() for cell in cells):
        raise InputError(f"line 1 of {name} is no header: {lines[0][:80]!r}; the first line must name the columns")
    names = [cell.strip() or f"column_{number}" for number, cell in enumerate(cells, 1)]
    twice = sorted({cell for cell in names if names.count(cell) > 1})
    if twice:
        raise InputError(f"the header of {name} names {twice[0]!r} twice; give each column a name of its own")
    return names


def _scan(data: bytes, separator: int) -> Records:
    """Record bounds by quote parity: a newline or separator counts where the quotes before it are even."""
    buffer = np.frombuffer(data, np.uint8)
    ends: list[NDArray[np.int64]] = []  # one past each record's newline
    seps: list[NDArray[np.int64]] = []  # separators before it
    lines: list[NDArray[np.int64]] = []  # newlines before it
    inside, proper, quoted, n_seps, n_lines = False, True, False, 0, 0
    for at in range(0, buffer.size, CHUNK):
        part = buffer[at : at + CHUNK]
        newline, sep, quotes = part == NEWLINE, part == separator, np.flatnonzero(part == QUOTE)
        every_newline = np.flatnonzero(newline)
        if quotes.size or inside:
            state = np.zeros(part.size, np.bool_)
            state[quotes] = True
            state = np.logical_xor.accumulate(state) ^ inside  # True from an opening quote to its closing one
            proper = proper and _proper(buffer, quotes + at, state[quotes], separator)
            newline, sep = newline & ~state, sep & ~state
            inside, quoted = bool(state[-1]), True
        end, found = np.flatnonzero(newline), np.flatnonzero(sep)
        ends.append(end + at + 1)
        seps.append(np.searchsorted(found, end) + n_seps)
        lines.append(np.searchsorted(every_newline, end) + n_lines)
        n_seps, n_lines = n_seps + found.size, n_lines + every_newline.size
    if not data.endswith(b"\n"):
        ends.append(np.array([buffer.size]))
        seps.append(np.array([n_seps]))
        lines.append(np.array([n_lines]))
    end, sep, line = np.concatenate(ends), np.concatenate(seps), np.concatenate(lines)
    return _records(buffer, end, sep, line, quoted, proper and not inside)


def _records(
    buffer: NDArray[np.uint8],
    end: NDArray[np.int64],
    seps: NDArray[np.int64],
    line: NDArray[np.int64],
    quoted: bool,
    proper: bool,
) -> Records:
    """From cumulative counts at each record's end to counts per record."""
    start = np.concatenate([[0], end[:-1]])
    first = buffer[np.minimum(start, buffer.size - 1)]
    length = end - start
    blank = (first == NEWLINE) | ((first == RETURN) & (length <= 2))
    first_line = np.concatenate([[0], line[:-1] + 1]) + 1
    return Records(start, end, first_line, np.diff(seps, prepend=0) + 1, blank, quoted, proper)


def _proper(buffer: NDArray[np.uint8], at: NDArray[np.int64], opens: NDArray[np.bool_], separator: int) -> bool:
    """Whether opening quotes follow, and closing quotes precede, a separator, a line end or another quote."""
    before = buffer[np.maximum(at - 1, 0)]
    after = buffer[np.minimum(at + 1, buffer.size - 1)]
    well_opened = np.isin(before, (separator, NEWLINE, QUOTE)) | (at == 0)
    well_closed = np.isin(after, (separator, NEWLINE, RETURN, QUOTE)) | (at == buffer.size - 1)
    return bool(np.where(opens, well_opened, well_closed).all())


def _undecodable(data: bytes, records: Records) -> NDArray[np.bool_]:
    """Records that are not UTF-8; only where the file as a whole is not, lines are tried one by one."""
    bad = np.zeros(records.start.size, np.bool_)
    decoder = codecs.getincrementaldecoder("utf8")()
    try:
        for at in range(0, len(data), CHUNK):
            decoder.decode(data[at : at + CHUNK], at + CHUNK >= len(data))
    except UnicodeDecodeError:
        high = np.logical_or.reduceat(np.frombuffer(data, np.uint8) >= 0x80, records.start)
        for record in np.flatnonzero(high):
            bad[record] = _decode(data[records.start[record] : records.end[record]], False) is None
    return bad


def _read_regular(data: bytes, records: Records, header: list[str], separator: str, lossy: bool) -> CsvRows | None:
    """The records of a file with proper quotes; None where polars sees other records than the scan."""
    undecodable = np.zeros(records.start.size, np.bool_) if lossy else _undecodable(data, records)
    good = (records.fields == len(header)) & ~records.blank & ~undecodable
    bad = ~good
    good[0] = bad[0] = False  # the header
    if bad.any():
        body = np.frombuffer(data, np.uint8)[np.repeat(good, records.end - records.start)].tobytes()
    else:
        body = data[records.end[0] :]
    schema = dict.fromkeys(header, pl.String())
    try:
        table = pl.read_csv(
            io.BytesIO(body),
            has_header=False,
            schema=schema,
            separator=separator,
            quote_char='"' if records.quoted else None,
            encoding="utf8-lossy" if lossy else "utf8",
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:
        return None
    if table.height != good.sum():
        return None
    broken = {
        "source_row": records.line[bad],
        "rule": np.where(undecodable[bad], "encoding", "field_count"),
        "value": [_shown(data[records.start[r] : records.end[r]]) for r in np.flatnonzero(bad)],
    }
    return CsvRows(table, pl.Series(records.line[good]), pl.DataFrame(broken, schema=BROKEN))


def _read_line_by_line(data: bytes, header: list[str], separator: str, lossy: bool) -> CsvRows:
    """The slow, patient way: a record is the shortest run of lines that parses as one."""
    lines = data.removesuffix(b"\n").split(b"\n")
    frames, numbers, rows, broken = [], [], [], []
    for number, cells, rule in _parse(lines, separator, lossy):
        if number == 1:
            continue
        if not rule and len(cells) == len(header):
            rows.append(cells)
            numbers.append(number)
        else:
            broken.append((number, rule or "field_count", _shown(lines[number - 1])))
        if len(rows) == BATCH:
            frames.append(_frame(rows, header))
            rows = []
    frames.append(_frame(rows, header))
    return CsvRows(
        pl.concat(frames),
        pl.Series(numbers, dtype=pl.Int64),
        pl.DataFrame(broken, schema=BROKEN, orient="row"),
    )


def _frame(rows: list[list[str]], header: list[str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")


def _parse(lines: list[bytes], separator: str, lossy: bool) -> Iterator[tuple[int, list[str], str]]:
    """(line number, cells, rule that the record broke or "") of each record."""
    at = 0
    while at < len(lines):
        cells, rule, span = _record(lines, at, separator, lossy)
        yield at + 1, cells, rule
        at += span


def _record(lines: list[bytes], at: int, separator: str, lossy: bool) -> tuple[list[str], str, int]:
    """(cells, broken rule or "", lines used) of the record that starts at line index `at`."""
    text = _decode(lines[at], lossy)
    if text is None:
        return [], "encoding", 1
    if not text.strip("\r"):
        return [], "field_count", 1
    if '"' not in text:
        return text.rstrip("\r").split(separator), "", 1
    for span in range(1, LONGEST_RECORD + 1):
        cells, is_open = _cells(text, separator)
        if cells:
            return cells, "", span
        further = _decode(lines[at + span], lossy) if is_open and at + span < len(lines) else None
        if further is None:
            break
        text = f"{text}\n{further}"
    return [], "quoting", 1


def _cells(text: str, separator: str) -> tuple[list[str], bool]:
    """The cells of one record, and whether a quote was still open at its end."""
    try:
        return next(csv.reader([text.rstrip("\r")], delimiter=separator, strict=True)), False
    except csv.Error as error:
        return [], "unexpected end" in str(error)


def _decode(line: bytes, lossy: bool) -> str | None:
    try:
        return line.decode("utf8", "replace" if lossy else "strict")
    except UnicodeDecodeError:
        return None


def _shown(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode("utf8", "backslashreplace")
