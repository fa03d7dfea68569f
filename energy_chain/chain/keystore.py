"""Encrypted private keys in files: the Ethereum keystore, version 3, as geth keeps it.

The only place where this package writes a secret.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keyfile.exceptions import EthKeyfileValueError
from eth_keys.constants import SECPK1_N
from pydantic import SecretStr

from energy_chain.chain.addresses import parse_address, shown
from energy_chain.chain.passphrases import PassphraseSource
from energy_chain.chain.private_files import read_private_file, write_private_file
from energy_chain.errors import InvalidInput, UnknownAccount, WrongPassphrase
from energy_chain.folders import home_folder
from energy_chain.market import Address

# Short enough that a private key in hexadecimal digits is no name.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_RESERVED = re.compile(r"dev[0-9]+")
_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account whose key is at hand.

    Attributes:
        name: what commands call it.
        address: as its file says; unlocking checks it.
        path: the file of its encrypted key; None for a development account.
    """

    name: str
    address: Address
    path: Path | None


class Keystore:
    """A folder with one file for each account, `NAME.json`. It keeps no key in memory."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        kdf: Literal["scrypt", "pbkdf2"] = "scrypt",
        iterations: int | None = None,
    ) -> None:
        """The accounts in a folder. It is made with the first of them.

        Args:
            folder: `keystore` in the home folder of this package, unless given.
            kdf: what makes encryption keys of passphrases. Tests take a fast one.
            iterations: its work factor; a second or two of work, unless given.
        """
        self.folder = home_folder() / "keystore" if folder is None else folder
        self._kdf: Literal["scrypt", "pbkdf2"] = kdf
        self._iterations = iterations

    def __repr__(self) -> str:
        return f"<Keystore in {self.folder}>"

    def __str__(self) -> str:
        return f"{self.folder} (accounts there: {', '.join(self.names()) or 'none'})"

    def names(self) -> tuple[str, ...]:
        """The names of all accounts, sorted. Other files in the folder are left alone."""
        names = (path.stem for path in self.folder.glob("*.json"))
        return tuple(sorted(name for name in names if _is_name(name)))

    def list(self) -> tuple[KnownAccount, ...]:
        """All accounts, sorted by name.

        Raises:
            InvalidInput: a file cannot be used, or others can read or write it.
        """
        return tuple(self.account(name) for name in self.names())

    def account(self, name: str) -> KnownAccount:
        """An account by its name. Takes no passphrase.

        Raises:
            UnknownAccount: there is none.
            InvalidInput: that is no name, or the file cannot be used, or others can read or write
                it.
        """
        path = self._existing(name)
        _, address = _read(path)
        return KnownAccount(name, address, path)

    def unlock(self, name: str, passphrase: PassphraseSource) -> LocalAccount:
        """Decrypts the key of an account.

        Raises:
            UnknownAccount: there is none.
            WrongPassphrase: it does not open this account.
            InvalidInput: that is no name, or there is no passphrase, or the file cannot be used,
                or is of another key than it says, or others can read or write it.
        """
        return _unlock(self._existing(name), f"account {name!r}", passphrase)

    def new(self, name: str, passphrase: PassphraseSource) -> KnownAccount:
        """Makes an account with a random key.

        Raises:
            InvalidInput: the name is no name, or taken, or there is no passphrase, or the file
                cannot be written.
        """
        return self.add(name, Account.create(), passphrase)

    def add(self, name: str, account: LocalAccount, passphrase: PassphraseSource) -> KnownAccount:
        """Keeps the key of an account, under a passphrase that is asked for when all else is fine.

        Raises:
            InvalidInput: the name is no name, or taken, or the keystore has that key, or there is
                no passphrase, or the file cannot be written, or another one not be used.
        """
        path = self._path(name)
        if name in self.names():
            raise _taken(name, path)
        for known in self.list():
            if known.address == account.address:
                raise InvalidInput(
                    f"the keystore has {known.address} already, as {known.name!r}: use that name"
                )
        secret = passphrase.new(f"account {name!r}").get_secret_value()
        document = account.encrypt(secret, kdf=self._kdf, iterations=self._iterations)
        try:
            write_private_file(path, json.dumps(document))
        except FileExistsError:
            raise _taken(name, path) from None
        return KnownAccount(name, str(account.address), path)

    def _path(self, name: str) -> Path:
        if _RESERVED.fullmatch(name):
            raise InvalidInput(
                f"{shown(name)} is the name of a development account: give it another name"
            )
        if not _is_name(name):
            raise InvalidInput(
                f"{shown(name)} cannot be the name of an account: give up to 32 lower-case "
                "letters, digits, - and _, beginning with a letter"
            )
        return self.folder / f"{name}.json"

    def _existing(self, name: str) -> Path:
        path = self._path(name)
        if name not in self.names():
            raise UnknownAccount(
                f"there is no account {name!r} in {self}: "
                f"give one of them, or make it with `energy-chain accounts new {name}`"
            )
        return path


def account_from_key(key: SecretStr) -> LocalAccount:
    """The account of a private key as people write it: 64 hexadecimal digits, 0x before or not.

    Raises:
        InvalidInput: that is no private key. The message does not repeat it.
    """
    return _account_from_key(key.get_secret_value(), "what was given")


def account_from_key_file(path: Path) -> LocalAccount:
    """The account of a private key in a file that has nothing else in it.

    Raises:
        InvalidInput: that is no private key, or the file cannot be read, or others can read or
            write it.
    """
    return _account_from_key(read_private_file(path).decode("ascii", "replace"), str(path))


def account_from_keystore_file(path: Path, passphrase: PassphraseSource) -> LocalAccount:
    """The account of a keystore file of another program, such as geth's.

    Raises:
        WrongPassphrase: it does not open this file.
        InvalidInput: there is no passphrase, or the file cannot be used, or is of another key than
            it says, or others can read or write it.
    """
    return _unlock(path, str(path), passphrase)


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and not _RESERVED.fullmatch(text)


def _taken(name: str, path: Path) -> InvalidInput:
    return InvalidInput(f"there is an account {name!r} already, in {path}: give it another name")


def _read(path: Path) -> tuple[dict[str, Any], Address]:
    """What a keystore file says, and whose key it says it has."""
    text = read_private_file(path).decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        # Raised below: the exception here has the text, and that may be a key file's.
        document = None
    if not isinstance(document, dict) or document.get("version") != 3:
        raise InvalidInput(f"{path} is not an Ethereum keystore file of version 3: check the path")
    try:
        address = parse_address("0x" + str(document.get("address")).removeprefix("0x"))
    except InvalidInput:
        raise InvalidInput(
            f"{path} does not say whose key it has, so that nobody can check it: "
            "get it from a backup, or import the private key itself"
        ) from None
    return document, address


def _unlock(path: Path, what: str, passphrase: PassphraseSource) -> LocalAccount:
    document, address = _read(path)
    secret = passphrase.existing(what).get_secret_value()
    try:
        key = bytes(Account.decrypt(document, secret))
    except EthKeyfileValueError:
        raise WrongPassphrase(f"the passphrase of {what} is wrong: try again") from None
    except Exception as error:
        # The libraries below raise whatever a missing, misspelt or oversized field leads to.
        raise InvalidInput(
            f"{path} is not a whole keystore file ({type(error).__name__}): "
            "get it from a backup, or import the private key itself"
        ) from None
    account = _account_from_key(key.hex(), f"what {path} has")
    if account.address != address:
        raise InvalidInput(
            f"{path} says that it has the key of {address}, but has that of {account.address}: "
            "it was changed; get it from a backup"
        )
    return account


def _account_from_key(text: str, what: str) -> LocalAccount:
    digits = _KEY.fullmatch(text.strip())
    if not digits:
        raise InvalidInput(
            f"{what} is not a private key: give 64 hexadecimal digits, with or without 0x"
        )
    # Here and not in the library, whose message would tell the number.
    if not 0 < int(digits[1], 16) < SECPK1_N:
        raise InvalidInput(f"{what} is not a private key: its number is out of range")
    account: LocalAccount = Account.from_key(bytes.fromhex(digits[1]))
    return account
