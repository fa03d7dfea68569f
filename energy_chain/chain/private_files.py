"""Files with secrets: read only while nobody else can, written whole or not at all."""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from pathlib import Path

from energy_chain.errors import InvalidInput

_LONGEST = 10_000
"""Bytes. Secrets are much shorter; parsing JSON with 100,000 brackets ends the process."""
_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts a service's credentials; an environment variable that it sets."""


def read_private_file(path: Path) -> bytes:
    """What is in a file that only its owner can read and write.

    Windows has no such mode bits; there every file is read. A credential that systemd gives its
    service is root's, and the bits of its group say what the service may (systemd issue 29435).

    Raises:
        InvalidInput: it cannot be read, or is too long for a secret, or its group or others can
            read or write it.
    """
    try:
        with path.open("rb") as file:
            # Of the open file, so that nobody can put another one there after the check.
            mode = os.fstat(file.fileno()).st_mode
            others = _OTHERS & ~stat.S_IRGRP if _is_credential(path) else _OTHERS
            if os.name == "posix" and mode & others:
                raise InvalidInput(
                    f"{path} holds a secret, and others than its owner can read or change it: "
                    f"chmod 600 {shlex.quote(str(path))}"
                )
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    if len(content) > _LONGEST:
        raise InvalidInput(f"{path} is too long to hold a key or a passphrase: check the path")
    return content


def _is_credential(path: Path) -> bool:
    folder = os.environ.get(CREDENTIALS)
    return folder is not None and path.parent == Path(folder)


def write_private_file(path: Path, text: str) -> None:
    """Writes a new file that only its owner can read, in a folder that only its owner can enter.

    Whenever it is interrupted, the file is there whole or not at all.

    Raises:
        FileExistsError: there is one; it stays as it is.
        InvalidInput: it cannot be written.
    """
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=folder)
    except OSError as error:
        raise _unwritable(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Renaming would overwrite what another process has written meanwhile.
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink()


def _unwritable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"cannot write {path}: {error.strerror}: "
        "let ENERGY_CHAIN_HOME name a folder where that can be done"
    )
