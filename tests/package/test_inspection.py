"""What `inspect` finds in measurements, and files that are written of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from energy_chain.errors import InvalidInput
from energy_chain.meters import (
    FaultKind,
    FileOptions,
    Inspection,
    Label,
    Measurements,
    ReadingsError,
    Unit,
    inspect,
    measure,
    write_csv,
    write_parquet,
)

HEADER = "meter,period_start,consumption_kwh,production_kwh"
BERLIN = ZoneInfo("Europe/Berlin")

Writer = Callable[[Measurements, Path], None]


def hours(meter: str, first: str, count: int, energy: str = "0.5,0.25") -> list[str]:
    start = datetime.fromisoformat(first)
    return [f"{meter},{(start + timedelta(hours=n)).isoformat()},{energy}" for n in range(count)]


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., Measurements]:
    def measured(*lines: str, options: FileOptions | None = None) -> Measurements:
        path = tmp_path / "homes.csv"
        path.write_text("\n".join([HEADER, *lines]) + "\n")
        return measure([path], options or FileOptions())

    return measured


@pytest.fixture
def look(measured: Callable[..., Measurements]) -> Callable[..., Inspection]:
    return lambda *lines, **how: inspect(measured(*lines, **how))


def test_a_whole_file_can_trade(look: Callable[..., Inspection]) -> None:
    found = look(
        *hours("a", "2020-01-01T00:00+00:00", 24), *hours("b", "2020-01-01T00:00+00:00", 24)
    )
    assert found.refusal is None
    assert found.faults == found.odd == ()
    assert found.days == (date(2020, 1, 1), 1)
    assert found.period == timedelta(hours=1)
    first, second = found.meters
    assert (first.meter, first.readings, first.missing) == ("a", 24, 0)
    assert (first.consumption, second.production) == (12 * 10**9, 6 * 10**9)


def test_every_fault_is_told_by_line_and_counted_by_kind(look: Callable[..., Inspection]) -> None:
    lines = hours("a", "2020-01-01T00:00+00:00", 72)
    lines[30] = lines[30].replace("0.5", "-1")
    del lines[40:43]
    lines.append("a,2020-01-01T00:00+00:00,9,9")
    found = look(*lines)
    assert [(fault.kind, fault.problem.line) for fault in found.faults] == [
        (FaultKind.VALUE, 32),
        (FaultKind.GAP, 41),
        (FaultKind.DOUBLE, 71),
    ]
    assert dict(found.counts) == {FaultKind.VALUE: 1, FaultKind.GAP: 1, FaultKind.DOUBLE: 1}
    assert found.refusal is not None
    assert found.meters[0].missing == 3
    # The first day has a reading twice, the second a gap and a value of no use.
    assert found.days == (date(2020, 1, 3), 1)


def test_days_that_are_whole_for_one_meter_only_are_not(look: Callable[..., Inspection]) -> None:
    found = look(
        *hours("a", "2020-01-01T00:00+00:00", 96), *hours("b", "2020-01-02T00:00+00:00", 48)
    )
    assert found.days == (date(2020, 1, 2), 2)


def test_days_on_which_the_clocks_change_are_whole(look: Callable[..., Inspection]) -> None:
    lines = hours("a", "2020-10-24T00:00+02:00", 24 + 25 + 24)
    assert look(*lines, options=FileOptions(timezone=BERLIN)).days == (date(2020, 10, 24), 3)
    assert look(*lines[:-1], options=FileOptions(timezone=BERLIN)).days == (date(2020, 10, 24), 2)


def test_days_on_which_the_clocks_change_are_whole_by_the_offsets_of_the_file(
    look: Callable[..., Inspection],
) -> None:
    before = hours("a", "2020-10-25T00:00+02:00", 3)
    assert look(*before, *hours("a", "2020-10-25T02:00+01:00", 22)).days == (date(2020, 10, 25), 1)
    assert look(*before, *hours("a", "2020-10-25T02:00+01:00", 21)).days is None
    spring = [*hours("a", "2020-03-29T00:00+01:00", 2), *hours("a", "2020-03-29T03:00+02:00", 21)]
    assert look(*spring).days == (date(2020, 3, 29), 1)


def test_offsets_are_those_of_local_time(look: Callable[..., Inspection]) -> None:
    lines = hours("a", "2020-10-24T00:00+02:00", 73)
    assert look(*lines, options=FileOptions(timezone=BERLIN)).offsets == ("+01:00", "+02:00")
    assert look(*hours("a", "2020-01-01T00:00-03:30", 2)).offsets == ("-03:30",)


def test_energies_far_above_all_others_are_odd_and_no_fault(
    look: Callable[..., Inspection],
) -> None:
    lines = hours("a", "2020-01-01T00:00+00:00", 240)
    lines[100] = lines[100].replace("0.5,", "50,")
    found = look(*lines)
    [odd] = found.odd
    assert odd.line == 102
    assert "consumption of 50.000 kWh is more than 10 times" in odd.message
    assert found.refusal is None


def test_times_without_an_offset_are_told_with_the_option(look: Callable[..., Inspection]) -> None:
    found = look(*hours("a", "2020-01-01T00:00", 24))
    assert (found.first, found.days, found.meters) == (None, None, ())
    assert found.refusal is not None
    assert "--timezone" in found.refusal


def test_a_period_that_no_market_has_is_told(look: Callable[..., Inspection]) -> None:
    found = look("a,2020-01-01T00:00Z,1,1", "a,2020-01-01T00:07Z,1,1")
    assert found.period is None
    assert list(found.counts) == [FaultKind.PERIOD]


# ------------------------------------------------------------------ writing


@pytest.fixture(
    params=[(write_csv, "out.csv"), (write_parquet, "out.parquet")], ids=["csv", "parquet"]
)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Writer, Path]:
    writer, name = request.param
    return writer, tmp_path / name


def test_what_is_written_is_read_back_to_the_last_digit(
    measured: Callable[..., Measurements], written: tuple[Writer, Path]
) -> None:
    drawn = random.Random(7)
    lines = [
        f"{meter},{(datetime(2020, 3, 29) + timedelta(hours=n)).isoformat()}+00:00,"
        f"{drawn.randrange(10**12) / 10**9:.9f},{drawn.randrange(10**6)}"
        for meter in ("b", '"a, quoted"')
        for n in range(24)
    ]
    del lines[40:44]
    found = measured(*lines, options=FileOptions(timezone=BERLIN)).by_time()
    write, path = written
    write(found, path)
    again = measure([path], FileOptions()).by_time()
    assert again.meters == found.meters
    for name in ("meter", "instant", "offset", "consumption", "production"):
        assert np.array_equal(getattr(again, name), getattr(found, name)), name


def test_what_comes_twice_is_not_written(
    measured: Callable[..., Measurements], written: tuple[Writer, Path]
) -> None:
    write, path = written
    with pytest.raises(ReadingsError, match="is a reading of the same period"):
        write(measured(*hours("a", "2020-01-01T00:00+00:00", 2) * 2), path)
    assert [file.name for file in path.parent.iterdir()] == ["homes.csv"]


def test_a_place_that_cannot_be_written_to_is_named(
    measured: Callable[..., Measurements], written: tuple[Writer, Path], tmp_path: Path
) -> None:
    write, path = written
    with pytest.raises(InvalidInput, match="cannot be written: No such file"):
        write(measured(*hours("a", "2020-01-01T00:00+00:00", 2)), tmp_path / "none" / path.name)


def test_parquet_columns_say_their_units(
    measured: Callable[..., Measurements], tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    write_parquet(measured(*hours("a", "2020-01-01T00:00+00:00", 2)), tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.field("consumption").metadata == {b"unit": b"microwatt-hours"}
    assert str(schema.field("period_start").type) == "timestamp[us, tz=UTC]"


def test_a_parquet_file_of_others_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"meter": ["a"], "consumption": [1]}), path)
    with pytest.raises(InvalidInput, match="is not a table of readings"):
        measure([path], FileOptions())
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InvalidInput, match="cannot be read as Parquet"):
        measure([path], FileOptions())


def test_what_only_csv_files_need_is_refused_for_others(
    measured: Callable[..., Measurements], tmp_path: Path
) -> None:
    path = tmp_path / "out.parquet"
    write_parquet(measured(*hours("a", "2020-01-01T00:00+00:00", 2)), path)
    with pytest.raises(InvalidInput, match=r"is a file of parquet.*leave out --unit, --label"):
        measure([path], FileOptions(unit=Unit.WH, label=Label.END))


def test_parquet_energies_out_of_range_are_faults(
    measured: Callable[..., Measurements], tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "out.parquet"
    write_parquet(measured(*hours("a", "2020-01-01T00:00+00:00", 2)), path)
    table = pq.read_table(path)
    at = table.schema.get_field_index("production")
    import pyarrow as pa

    table = table.set_column(at, table.schema.field(at), pa.array([-1, 5], pa.int64()))
    pq.write_table(table, path)
    [fault] = measure([path], FileOptions()).faults
    assert fault.kind is FaultKind.VALUE
    assert str(fault.problem).startswith("row 1: production of -1")
    [meter] = inspect(measure([path], FileOptions())).meters
    assert (meter.readings, meter.bad, meter.production) == (1, 1, 5)


def test_rows_of_a_table_are_not_called_lines_beside_the_lines_of_a_file(
    measured: Callable[..., Measurements], tmp_path: Path
) -> None:
    path = tmp_path / "out.parquet"
    write_parquet(measured(*hours("a", "2020-01-01T00:00+00:00", 2)), path)
    text = "\n".join([HEADER, *hours("a", "2020-01-01T01:00+00:00", 3)])
    (tmp_path / "homes.csv").write_text(text)
    both = [tmp_path / "homes.csv", path]
    first, second = (inspect(measure(files, FileOptions())).faults for files in (both, both[::-1]))
    assert "out.parquet, row 2: " in str(first[0].problem)
    assert "line 2 of " in str(first[0].problem)
    assert "homes.csv, line 2: " in str(second[0].problem)
    assert "row 2 of " in str(second[0].problem)
