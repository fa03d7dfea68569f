"""Readings from the Parquet files that `write_parquet` writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_ENERGY
from energy_chain.meters.files.energies import local_offsets
from energy_chain.meters.files.file_options import FileOptions
from energy_chain.meters.files.writers import ENERGY_UNIT, FORMAT, FORMAT_KEY, UNIT_KEY
from energy_chain.meters.measurements import UNUSABLE, Fault, FaultKind, Measurements
from energy_chain.meters.readings import UWH

_TYPES = {
    "meter": pa.dictionary(pa.int32(), pa.string()),
    "period_start": pa.timestamp("us", tz="UTC"),
    "utc_offset": pa.int32(),
    "consumption": pa.int64(),
    "production": pa.int64(),
}


def measure_parquet(path: Path, options: FileOptions) -> Measurements:
    """What stands in a Parquet file; its rows are counted from 1.

    Raises:
        InvalidInput: it cannot be read, or is not one of ours.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f"{path} cannot be read as Parquet: {error}") from error
    metadata = table.schema.metadata or {}
    ours = metadata.get(FORMAT_KEY) == FORMAT
    for name, wanted in _TYPES.items():
        at = table.schema.get_field_index(name)
        ours = ours and at >= 0 and table.schema.field(at).type == wanted
        ours = ours and table.column(at).null_count == 0
        if ours and name in ("consumption", "production"):
            ours = (table.schema.field(at).metadata or {}).get(UNIT_KEY) == ENERGY_UNIT
    if not ours:
        raise InvalidInput(
            f"{path} is not a table of readings in {FORMAT.decode()}: give one that energy-chain "
            "data convert has written, or a CSV file"
        )
    meters = table.column("meter").combine_chunks()
    if isinstance(meters, pa.ChunkedArray):
        meters = meters.unify_dictionaries().combine_chunks()
    names = meters.dictionary.to_pylist()
    instants = np.asarray(table.column("period_start").cast(pa.int64()), np.int64)
    found = Measurements.of_rows(
        str(path),
        names,
        np.column_stack(
            [
                np.asarray(meters.indices, np.int64),
                np.arange(1, len(table) + 1),
                instants,
                np.asarray(table.column("utc_offset"), np.int64) * 1_000_000,
                np.asarray(table.column("consumption"), np.int64),
                np.asarray(table.column("production"), np.int64),
            ]
        ),
        by_row=frozenset({str(path)}),
        timezone=options.timezone,
        facts=MappingProxyType({"format": "Parquet", "values": "energy of each period, µWh"}),
    )
    return _checked(found)


def _checked(found: Measurements) -> Measurements:
    faults = []
    columns = []
    for name in ("consumption", "production"):
        column = getattr(found, name)
        bad = (column < 0) | (column > MAX_ENERGY * UWH)
        columns.append(np.where(bad, UNUSABLE, column))
        for row in np.flatnonzero(bad).tolist():
            message = f"{name} of {column[row]} µWh is negative or more than {MAX_ENERGY} Wh"
            day = found.start(row).date()
            faults.append(Fault(FaultKind.VALUE, found.problem(row, message), day))
    consumption, production = columns
    return replace(
        found,
        faults=tuple(faults),
        offset=local_offsets(found),
        consumption=consumption,
        production=production,
    )
