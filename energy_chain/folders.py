"""Where this package keeps files: what can be made anew, and what cannot."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """The folder of what can be made anew: the compiled contract, Ganache's program.

    The user's cache folder, or what the environment variable ENERGY_CHAIN_CACHE names.
    """
    import platformdirs

    return Path(os.environ.get("ENERGY_CHAIN_CACHE") or platformdirs.user_cache_dir("energy-chain"))


def home_folder() -> Path:
    """The folder of what must be kept: keystores, remembered deployments, Ganache's chain.

    The user's data folder, or what the environment variable ENERGY_CHAIN_HOME names.
    """
    import platformdirs

    return Path(os.environ.get("ENERGY_CHAIN_HOME") or platformdirs.user_data_dir("energy-chain"))


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that nobody ever reads half of it; makes its folder where needed.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
