"""Measurements as files: long CSV with exact decimals, or Parquet with typed columns."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from energy_chain.errors import InvalidInput
from energy_chain.meters.completing import refusal, split_doubles
from energy_chain.meters.measurements import Measurements
from energy_chain.meters.readings import UWH

FORMAT_KEY = b"energy-chain"
"""Of a Parquet file's metadata: which of our tables it has."""
FORMAT = b"readings 1"
UNIT_KEY = b"unit"
ENERGY_UNIT = b"microwatt-hours"
TIME_UNIT = b"start of the period"

_KWH = 1000 * UWH


def writer_for(path: Path, force: bool = False) -> Callable[[Measurements, Path], None]:
    """What writes the file that the end of a name asks for.

    Args:
        path: of the file.
        force: whether it may overwrite one.

    Raises:
        InvalidInput: the name ends in neither .csv nor .parquet, or there is such a file.
    """
    found = {".csv": write_csv, ".parquet": write_parquet}.get(path.suffix.lower())
    if found is None:
        raise InvalidInput(f"{path} can be no file of readings: end its name in .parquet or .csv")
    if path.exists() and not force:
        raise InvalidInput(f"{path} exists: give --force to overwrite it, or another name")
    return found


def write_csv(measurements: Measurements, path: Path) -> None:
    """Writes meter, period_start, consumption_kwh and production_kwh, by meter and time.

    Energies are exact, times local with their offset. What is missing stays missing.

    Raises:
        ReadingsError: a line could not be read or a reading comes twice; nothing is written.
        InvalidInput: the file cannot be written.
    """
    rows = _sound(measurements)
    starts = _starts(rows)
    columns = (rows.meter, rows.instant, rows.consumption, rows.production)
    with _whole_file(path) as place, place.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("meter", "period_start", "consumption_kwh", "production_kwh"))
        writer.writerows(
            (rows.meters[meter], starts[instant], _kwh(consumption), _kwh(production))
            for meter, instant, consumption, production in zip(
                *(column.tolist() for column in columns), strict=True
            )
        )


def write_parquet(measurements: Measurements, path: Path) -> None:
    """Writes a table of the columns meter, period_start, utc_offset, consumption and production.

    The start is a timestamp in UTC, the offset of its local time in seconds, the
    energies are 64-bit microwatt-hours; each column's metadata says its unit.
    What is missing stays missing. Raises as `write_csv` does.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = _sound(measurements)
    schema = pa.schema(
        [
            pa.field("meter", pa.dictionary(pa.int32(), pa.string()), nullable=False),
            pa.field("period_start", pa.timestamp("us", tz="UTC"), False, {UNIT_KEY: TIME_UNIT}),
            pa.field("utc_offset", pa.int32(), False, {UNIT_KEY: b"seconds"}),
            pa.field("consumption", pa.int64(), False, {UNIT_KEY: ENERGY_UNIT}),
            pa.field("production", pa.int64(), False, {UNIT_KEY: ENERGY_UNIT}),
        ],
        {FORMAT_KEY: FORMAT},
    )
    meters = pa.DictionaryArray.from_arrays(rows.meter.astype(np.int32), list(rows.meters))
    offsets = (rows.offset // 1_000_000).astype(np.int32)
    arrays = [meters, rows.instant, offsets, rows.consumption, rows.production]
    table = pa.Table.from_arrays(
        [
            array if isinstance(array, pa.Array) else pa.array(array, field.type)
            for array, field in zip(arrays, schema, strict=True)
        ],
        schema=schema,
    )
    with _whole_file(path) as place:
        pq.write_table(table, place, compression="zstd")


def _sound(measurements: Measurements) -> Measurements:
    """The rows by time, of files in which nothing is wrong but what is missing."""
    doubles, rows = split_doubles(measurements.by_time())
    faults = [*measurements.faults, *doubles]
    if faults:
        raise refusal(faults, measurements)
    if not len(rows):
        raise InvalidInput(f"{measurements.source} has no readings; give some")
    return rows


def _starts(rows: Measurements) -> dict[int, str]:
    instants, first = np.unique(rows.instant, return_index=True)
    return {
        instant: rows.start(row).isoformat()
        for instant, row in zip(instants.tolist(), first.tolist(), strict=True)
    }


def _kwh(energy: int) -> str:
    """An energy in kWh, exactly, without needless zeros."""
    whole, rest = divmod(energy, _KWH)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A place to write to, that becomes `path` when all of it is written."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        place = Path(name)
        try:
            yield place
            # Readable as other files are, which a temporary file is not.
            umask = os.umask(0)
            os.umask(umask)
            place.chmod(0o666 & ~umask)
            place.replace(path)
        finally:
            place.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror or error}; give a file that can"
        ) from None
