"""Files of any format that is read: which one it is, and what stands in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from energy_chain.errors import InvalidInput
from energy_chain.meters.completing import complete
from energy_chain.meters.files.csv_reader import measure_csv
from energy_chain.meters.files.energies import to_energies
from energy_chain.meters.files.file_options import FileOptions, Format
from energy_chain.meters.measurements import Measurements, combine
from energy_chain.meters.readings import DayRange, Readings

_ENDINGS = {".csv", ".tsv", ".txt", ".xml", ".parquet", ".p1"}
"""Of the files of a folder that are taken for readings."""
_NOT_CSV = (Format.GREEN_BUTTON, Format.P1, Format.PARQUET)
_LOOKED_AT = 8192
_WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+)?html\b", re.IGNORECASE)
_TELEGRAM = re.compile(rb"^\d-\d+:\d+\.\d+\.\d+\(", re.MULTILINE)


def read_readings(
    paths: Sequence[Path], options: FileOptions | None = None, days: DayRange | None = None
) -> Readings:
    """The readings of files or folders, one for each meter and period: `measure`, `complete`.

    Raises:
        ReadingsError: with every line that is to blame.
        InvalidInput: a file cannot be read, or something has to be said with options.
    """
    return complete(measure(paths, options or FileOptions()), days)


def measure(paths: Sequence[Path], options: FileOptions) -> Measurements:
    """The energies that stand in files of readings, which may lack some.

    A folder stands for its files, in the order of their names. Meters of the same
    name in several files are one meter.

    Raises:
        InvalidInput: a file cannot be read, or something has to be said with options.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise InvalidInput("no file is given: give one or more")
    if options.meter is not None and len(files) > 1:
        raise InvalidInput(
            f"--meter {options.meter} would name the meter of {len(files)} files: give one file, "
            "or name each file as its meter"
        )
    parts = [_measure(file, options) for file in files]
    kinds = {part.quantity for part in parts}
    if len(kinds) > 1:
        raise InvalidInput(
            f"the files have {' and '.join(sorted(kinds))}: give files with one of these at a time"
        )
    name = str(paths[0]) if len(paths) == 1 else f"{files[0]} and {len(files) - 1} more"
    return to_energies(combine(parts, name), options)


def detect(path: Path) -> Format | None:
    """The format of a file by its first bytes; None for CSV of whichever layout.

    Raises:
        InvalidInput: it cannot be read, or is a web page.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror or error}; give a readable file"
        ) from None
    if start.startswith(b"PAR1"):
        return Format.PARQUET
    if _WEB_PAGE.match(start):
        raise InvalidInput(
            f"{path} is a web page: give the file of readings that the page has a link to"
        )
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return Format.GREEN_BUTTON
    if _TELEGRAM.search(start):
        return Format.P1
    return None


def _measure(path: Path, options: FileOptions) -> Measurements:
    found = options.format or detect(path)
    if found in _NOT_CSV and (useless := options.for_csv_only()):
        raise InvalidInput(
            f"{path} is a file of {found}, which says this itself: leave out {', '.join(useless)}"
        )
    if found is Format.PARQUET:
        from energy_chain.meters.files.parquet_reader import measure_parquet

        return measure_parquet(path, options)
    if found is Format.GREEN_BUTTON:
        from energy_chain.meters.files.green_button import measure_green_button

        return measure_green_button(path, options)
    if found is Format.P1:
        from energy_chain.meters.files.p1 import measure_p1

        return measure_p1(path, options)
    return measure_csv(path, options)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(
        file for file in path.iterdir() if file.suffix.lower() in _ENDINGS and file.is_file()
    )
    if not found:
        raise InvalidInput(
            f"{path} cannot be read: a folder with no file of {', '.join(sorted(_ENDINGS))}; give "
            "one with files of readings"
        )
    return found
