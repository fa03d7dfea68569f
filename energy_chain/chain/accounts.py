"""Accounts that sign: who sends a transaction.

The development accounts are those that anvil, Hardhat and eth-tester make from
a mnemonic that everyone knows. Whatever is sent to them on a public chain is
stolen at once.
"""

from __future__ import annotations

import re
from functools import cache

from eth_account import Account
from eth_account.hdaccount import HDPath, seed_from_mnemonic
from eth_account.signers.local import LocalAccount

from energy_chain.chain.addresses import parse_address, shown
from energy_chain.chain.keystore import Keystore, KnownAccount
from energy_chain.chain.passphrases import PassphraseSource
from energy_chain.errors import InvalidInput, UnknownAccount
from energy_chain.market import Address

# Public knowledge, for development networks only.
DEVELOPMENT_MNEMONIC = "test test test test test test test test test test test junk"
NAMED_DEVELOPMENT_ACCOUNTS = 20
"""As many as have names, dev0 to dev19: what Hardhat unlocks, the most of the known nodes."""

_DEVELOPMENT_NAME = re.compile(r"dev[0-9]+")


@cache
def development_accounts(count: int) -> tuple[LocalAccount, ...]:
    """The first `count` accounts of the well-known mnemonic (BIP-32 path m/44'/60'/0'/0/i).

    For development networks only: everybody has their keys.
    """
    seed = seed_from_mnemonic(DEVELOPMENT_MNEMONIC, "")
    return tuple(Account.from_key(HDPath(f"m/44'/60'/0'/0/{i}").derive(seed)) for i in range(count))


class Accounts:
    """The accounts that a command can refer to.

    A reference is the name of an account of the keystore, dev0 to dev19 for a
    development account, or an address.
    """

    def __init__(self, keystore: Keystore, development: bool, passphrase: PassphraseSource) -> None:
        """The accounts for one network.

        Args:
            keystore: the encrypted ones.
            development: whether the network is a development network.
            passphrase: opens the encrypted ones.
        """
        self._keystore = keystore
        self._development = development
        self._passphrase = passphrase
        # Deriving an encryption key takes a second and is meant to: once for each account.
        self._unlocked: dict[str, LocalAccount] = {}

    def __repr__(self) -> str:
        also = " and development accounts" if self._development else ""
        return f"<Accounts of {self._keystore!r}{also}>"

    def address(self, reference: str) -> Address:
        """The address of an account. Takes no passphrase; an address may be anybody's.

        Raises:
            UnknownAccount: the keystore has no account of that name.
            InvalidInput: it is no reference, or a development account on another network, or the
                file of the account cannot be used, or others can read or write it.
        """
        if reference.startswith("0x"):
            return parse_address(reference)
        if _DEVELOPMENT_NAME.fullmatch(reference):
            return str(self._development_account(reference).address)
        return self._keystore.account(reference).address

    def unlock(self, reference: str) -> LocalAccount:
        """The account with its key, to sign with.

        The passphrase is asked for once for each account.

        Raises:
            UnknownAccount: nobody here has a key for it.
            WrongPassphrase: it does not open the account.
            InvalidInput: it is no reference, or a development account on another network, or
                there is no passphrase, or the file of the account cannot be used, or is of another
                key than it says, or others can read or write it.
        """
        name = self._name_of(parse_address(reference)) if reference.startswith("0x") else reference
        if _DEVELOPMENT_NAME.fullmatch(name):
            return self._development_account(name)
        if name not in self._unlocked:
            self._unlocked[name] = self._keystore.unlock(name, self._passphrase)
        return self._unlocked[name]

    def list(self) -> tuple[KnownAccount, ...]:
        """All accounts with keys: the keystore's by name, then the development accounts.

        Raises:
            InvalidInput: a file of the keystore cannot be used, or others can read or write it.
        """
        known = self._keystore.list()
        if not self._development:
            return known
        development = _named_development_accounts().items()
        return known + tuple(KnownAccount(name, str(a.address), None) for name, a in development)

    def new(self, name: str) -> KnownAccount:
        """Makes an account with a random key in the keystore.

        Raises:
            InvalidInput: as `Keystore.new`.
        """
        return self._keystore.new(name, self._passphrase)

    def add(self, name: str, account: LocalAccount) -> KnownAccount:
        """Keeps the key of an account from elsewhere in the keystore.

        Raises:
            InvalidInput: as `Keystore.add`, or it is a development account.
        """
        if _development_name(str(account.address)):
            raise InvalidInput(
                f"{account.address} is a development account and everybody has its key: "
                "make an account of your own with `energy-chain accounts new NAME`"
            )
        return self._keystore.add(name, account, self._passphrase)

    def _name_of(self, address: Address) -> str:
        if development := _development_name(address):
            return development
        for known in self._keystore.list():
            if known.address == address:
                return known.name
        raise UnknownAccount(
            f"there is no key for {address} in {self._keystore}: give another account, "
            "or import the key with `energy-chain accounts import NAME`"
        )

    def _development_account(self, name: str) -> LocalAccount:
        if not self._development:
            raise InvalidInput(
                f"{shown(name)} is a development account and everybody has its key: here give "
                "an account of the keystore, or make one with `energy-chain accounts new NAME`"
            )
        account = _named_development_accounts().get(name)
        if account is None:
            raise InvalidInput(
                f"there is no development account {shown(name)}: "
                f"give dev0 to dev{NAMED_DEVELOPMENT_ACCOUNTS - 1}"
            )
        return account


def _named_development_accounts() -> dict[str, LocalAccount]:
    accounts = development_accounts(NAMED_DEVELOPMENT_ACCOUNTS)
    return {f"dev{number}": account for number, account in enumerate(accounts)}


def _development_name(address: Address) -> str | None:
    named = _named_development_accounts().items()
    return next((name for name, account in named if account.address == address), None)
