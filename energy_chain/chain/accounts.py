"""Accounts that sign: who sends a transaction.

The development accounts are those that anvil, Hardhat and eth-tester make from
a mnemonic that everyone knows. Whatever is sent to them on a public chain is
stolen at once.
"""

from __future__ import annotations

from functools import cache

from eth_account import Account
from eth_account.hdaccount import HDPath, seed_from_mnemonic
from eth_account.signers.local import LocalAccount

# Public knowledge, for development networks only.
DEVELOPMENT_MNEMONIC = "test test test test test test test test test test test junk"


@cache
def development_accounts(count: int) -> tuple[LocalAccount, ...]:
    """The first `count` accounts of the well-known mnemonic (BIP-32 path m/44'/60'/0'/0/i).

    For development networks only: everybody has their keys.
    """
    seed = seed_from_mnemonic(DEVELOPMENT_MNEMONIC, "")
    return tuple(Account.from_key(HDPath(f"m/44'/60'/0'/0/{i}").derive(seed)) for i in range(count))
