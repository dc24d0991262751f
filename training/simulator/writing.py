"""A simulated log to a file: JSON lines as the real log has them, gzipped or not, or Parquet."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from churn.errors import SettingError
from churn.files import whole_file
from training.simulator import pages
from training.simulator.behaviour import LEVELS
from training.simulator.columns import LOST_BY_BROKEN_CLIENT, PER_PAGE, SCHEMA, Columns
from training.simulator.sessions import NO_SONG, Rows
from training.simulator.simulation import Simulation

ROWS_AT_ONCE: Final = 200_000
GZIP_LEVEL: Final = 2
"""Twice as fast as the default, and a tenth larger."""

_AFTER_USER: Final = ("location", "userAgent", "lastName", "firstName", "registration", "gender")


def write_log(simulation: Simulation, path: Path | str, progress: Callable[[str], None] = lambda _: None) -> None:
    """Write the log: Parquet to `*.parquet`, gzipped JSON lines to `*.gz`, else JSON lines.

    The same simulation gives the same bytes. The file appears whole or not at all.

    Raises:
        SettingError: the folder does not exist or cannot be written to.
    """
    target = Path(path)
    with result_file(target) as fresh:
        if target.suffix == ".parquet":
            _write_parquet(simulation, fresh)
        else:
            _write_json(simulation, fresh, compressed=target.suffix == ".gz")
    progress(f"{len(simulation.rows):,} rows, {target.stat().st_size / 1e6:,.1f} MB in {target}")


@contextmanager
def result_file(target: Path) -> Iterator[Path]:
    """`whole_file` for a file that a user named: its folder must exist, and a failure names the setting.

    Raises:
        SettingError: the folder does not exist or cannot be written to.
    """
    if not target.parent.is_dir():
        raise SettingError("out", str(target), "a file in a folder that exists")
    try:
        with whole_file(target) as fresh:
            yield fresh
    except OSError as error:
        raise SettingError("out", str(target), f"a file that can be written ({error.strerror})") from error


def _write_parquet(simulation: Simulation, path: Path) -> None:
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in simulation.batches(ROWS_AT_ONCE):
            writer.write_table(pa.Table.from_batches([batch]).cast(SCHEMA))


def _write_json(simulation: Simulation, path: Path, compressed: bool) -> None:
    lines = _JsonLines(Columns(simulation.settings, simulation.customers, simulation.customer_ids))
    with path.open("wb") as file, _opened(file, compressed) as sink:
        for start in range(0, len(simulation.rows), ROWS_AT_ONCE):
            sink.write(lines.of(simulation.rows[start : start + ROWS_AT_ONCE]))


@contextmanager
def _opened(file: BinaryIO, compressed: bool) -> Iterator[Any]:
    if not compressed:
        yield file
        return
    with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=GZIP_LEVEL, mtime=0) as packed:
        yield packed


class _JsonLines:
    """Lines joined from pieces that are written out once: per customer, per page, per song."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        per_customer, per_song = columns.per_customer, columns.per_song
        self._user = _pieces({"userId": per_customer["userId"]}, ',"sessionId":')
        known = {name: per_customer[name] for name in _AFTER_USER}
        lost = {name: values for name, values in known.items() if name not in LOST_BY_BROKEN_CLIENT}
        self._profile = pa.concat_arrays([_pieces(known), _pieces(lost)])
        self._page = pa.array([_page(page, level) for page in range(len(pages.PAGES)) for level in LEVELS])
        self._song = pa.concat_arrays([_pieces(per_song, "}\n"), pa.array(["}\n"])])

    def of(self, rows: Rows) -> memoryview:
        """The lines of these rows, as bytes."""
        customer = self._columns.customer(rows)
        profile = customer + np.where(self._columns.broken(rows), len(self._user), 0)
        song = np.where(rows.song == NO_SONG, len(self._song) - 1, rows.song)
        lines = pc.binary_join_element_wise(
            pa.scalar('{"ts":'),
            pa.array(self._columns.ts(rows)).cast(pa.string()),
            _take(self._user, customer),
            pa.array(rows.session).cast(pa.string()),
            _take(self._page, rows.page.astype(np.int64) * len(LEVELS) + rows.level),
            pa.array(rows.item).cast(pa.string()),
            _take(self._profile, profile),
            _take(self._song, song),
            "",
        )
        return _characters(lines)


def _page(page: int, level: str) -> str:
    facts = {name: values[page] for name, values in PER_PAGE.items()} | {"level": level}
    return "," + json.dumps(facts, separators=(",", ":"))[1:-1] + ',"itemInSession":'


def _pieces(columns: dict[str, list[Any]], end: str = "") -> pa.Array:
    """The inside of one JSON object per element, each with a comma before it; null keys left out."""
    pieces = []
    for values in zip(*columns.values(), strict=True):
        facts = {name: value for name, value in zip(columns, values, strict=True) if value is not None}
        inside = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))[1:-1]
        pieces.append((f",{inside}" if inside else "") + end)
    return pa.array(pieces)


def _take(pieces: pa.Array, number: NDArray[Any]) -> pa.Array:
    return pc.take(pieces, pa.array(number))


def _characters(lines: pa.Array) -> memoryview:
    """The texts of an array, one right after the other: what Arrow keeps them as."""
    _, offsets, data = lines.buffers()
    size = int(np.frombuffer(offsets, np.int32)[len(lines)]) if len(lines) else 0
    return memoryview(data)[:size] if size else memoryview(b"")
