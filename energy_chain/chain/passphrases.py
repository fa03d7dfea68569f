"""Where the passphrases of accounts come from."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from energy_chain.chain.private_files import read_private_file
from energy_chain.errors import InvalidInput

PASSPHRASE = "ENERGY_CHAIN_PASSPHRASE"
PASSPHRASE_FILE = "ENERGY_CHAIN_PASSPHRASE_FILE"


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """Gives passphrases when they are needed, and keeps none.

    They come from the first of: `file`, the environment variable
    ENERGY_CHAIN_PASSPHRASE, the file that ENERGY_CHAIN_PASSPHRASE_FILE names,
    `prompt`. In a file the passphrase is the first line.

    Attributes:
        file: a file with the passphrase.
        prompt: asks a person the question that it gets, and gives the answer. None where nobody
            can answer.
    """

    file: Path | None = None
    prompt: Callable[[str], str] | None = None

    def existing(self, account: str) -> SecretStr:
        """The passphrase of an account that there is. It may be empty.

        Raises:
            InvalidInput: there is no source, or its file cannot be used, or what it gives is not
                text.
        """
        given = self._without_person()
        return self._ask(f"Passphrase of {account}: ") if given is None else given

    def new(self, account: str) -> SecretStr:
        """A passphrase for an account that is being made; a person is asked twice.

        Raises:
            InvalidInput: there is no source, or its file cannot be used, or what it gives is not
                text, or empty, or the two answers differ.
        """
        given = self._without_person()
        passphrase = self._ask(f"New passphrase for {account}: ") if given is None else given
        if not passphrase.get_secret_value():
            raise InvalidInput(f"the passphrase for {account} is empty: give one that is not")
        if given is None and self._ask("The same again: ") != passphrase:
            raise InvalidInput(f"the two passphrases for {account} differ: try again")
        return passphrase

    def _without_person(self) -> SecretStr | None:
        if self.file is not None:
            return _first_line(self.file)
        if text := os.environ.get(PASSPHRASE):
            return _checked(text, PASSPHRASE)
        if name := os.environ.get(PASSPHRASE_FILE):
            return _first_line(Path(name))
        return None

    def _ask(self, question: str) -> SecretStr:
        if self.prompt is None:
            raise InvalidInput(
                "no passphrase is given: give a passphrase file, "
                f"or set {PASSPHRASE} or {PASSPHRASE_FILE}, or run it in a terminal that can ask"
            )
        return _checked(self.prompt(question), "what was typed")


def _first_line(path: Path) -> SecretStr:
    line = read_private_file(path).split(b"\n", 1)[0].removesuffix(b"\r")
    return _checked(line.decode("utf-8", "surrogateescape"), str(path))


def _checked(text: str, source: str) -> SecretStr:
    # Python turns bytes that are not UTF-8 into surrogates, for the environment by itself. Decoding
    # strictly instead would put the passphrase into the exception.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput(f"the passphrase in {source} is not UTF-8: write it anew")
    return SecretStr(text)
