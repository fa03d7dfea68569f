"""Readings as a CSV file in long form, the one that `csv_reader` reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from energy_chain.errors import InvalidInput
from energy_chain.meters.readings import Readings

_UWH_IN_KWH = 1_000_000_000


def write_readings(
    readings: Readings,
    path: str | os.PathLike[str],
    written: Callable[[int], object] = lambda _: None,
) -> None:
    """Write readings in long form, as `read_csv` takes them with its defaults.

    Energies are in kWh with as many digits as it takes to read them back
    unchanged, times in ISO 8601 with their UTC offset.

    Args:
        readings: what to write.
        path: of a file that does not exist yet: measured readings are not to be lost.
        written: told after each period how many readings it has.

    Raises:
        InvalidInput: the file exists, or cannot be written. What was written is removed.
    """
    target = Path(path)
    try:
        file = target.open("x", encoding="utf-8", newline="")
    except FileExistsError:
        raise InvalidInput(f"{path} exists; remove it, or give another name") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}") from None
    try:
        with file:
            file.write("meter,period_start,consumption_kwh,production_kwh\n")
            for start, consumption, production in zip(
                readings.starts,
                readings.consumption.tolist(),
                readings.production.tolist(),
                strict=True,
            ):
                time = start.isoformat()
                file.writelines(
                    f"{meter},{time},{_kwh(used)},{_kwh(made)}\n"
                    for meter, used, made in zip(
                        readings.meters, consumption, production, strict=True
                    )
                )
                written(len(readings.meters))
    except OSError as error:
        target.unlink(missing_ok=True)
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}") from None
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _kwh(energy: int) -> str:
    whole, rest = divmod(energy, _UWH_IN_KWH)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".") if rest else str(whole)
