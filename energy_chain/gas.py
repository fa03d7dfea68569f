"""What the metering operator's packed calls cost in gas, told without a chain.

What the chain's rules charge is counted: the transaction, its data, the storage
words, the logs. What remains is the contract's own computation, which is a few
thousand gas and grows with the words that are sent and the matches that are
written; its rates were fitted to calls on the embedded chain, and tests hold
each estimate within 1 % of what such a call uses there.

    gas = 21000                                       a transaction, Yellow Paper G_transaction
        + 4 * zero bytes + 16 * other bytes of data   EIP-2028
        + 2100 * words read                           EIP-2929, cold SLOAD
        + 5000 * words overwritten                    EIP-2929 and EIP-2200: 2100 cold + 2900
        + 22100 * words written for the first time    2100 cold + 20000
        + 375 + 375 * topics + 8 * bytes of each log  Yellow Paper G_log, G_logtopic, G_logdata
        + computation
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from energy_chain.events import Matched, PeriodOpened, Receipt, ReleasesPosted, RequestsPosted
from energy_chain.market import CAPACITY, LANES_PER_WORD, MATCH_CAPACITY, Release, Request
from energy_chain.packing import pack_orders

INTRINSIC = 21_000
CALLDATA_ZERO = 4
CALLDATA_NONZERO = 16
READ = 2_100
OVERWRITE = 5_000
FIRST_WRITE = 22_100
LOG = 375
LOG_TOPIC = 375
LOG_BYTE = 8
WORD = 32
"""Bytes."""

# Computation: of a call, of one that matches, of a word sent, of a match and of its words.
_CALL, _MATCHING, _SENT_WORD, _MATCH, _MATCH_WORD = 4_335, 2_546, 343, 173, 897
_CONFIRMING, _CONFIRMED_WORD = 902, 128
_SELECTOR = 4 * CALLDATA_NONZERO


def log_gas(topics: int, words: int) -> int:
    """Gas of a log with so many topics, the signature included, and words of data."""
    return LOG + LOG_TOPIC * topics + LOG_BYTE * WORD * words


def calldata_gas(data: bytes) -> int:
    """Gas of a transaction's data (EIP-2028)."""
    zeros = data.count(0)
    return CALLDATA_ZERO * zeros + CALLDATA_NONZERO * (len(data) - zeros)


def words_of(first: int, count: int) -> int:
    """Words of a ring that the `count` lanes from counter `first` on lie in."""
    return -(-(first % LANES_PER_WORD + count) // LANES_PER_WORD)


def post_and_match_gas(
    requests: Sequence[Request],
    releases: Sequence[Release],
    max_matches: int,
    receipt: Receipt,
    first_call: bool = False,
) -> int:
    """Gas of a `post_and_match` of the metering operator.

    Args:
        requests, releases, max_matches: what was given.
        receipt: what it logged, on whichever ledger.
        first_call: whether no order was ever posted before.
    """
    offers, needs = pack_orders(requests), pack_orders(releases)
    sent = [3 * WORD, (4 + len(offers)) * WORD, max_matches]
    sent += [len(offers), *offers, len(needs), *needs]
    gas = INTRINSIC + _SELECTOR + _calldata(sent) + READ
    gas += FIRST_WRITE if first_call else OVERWRITE
    gas += _CALL + _SENT_WORD * (len(offers) + len(needs))
    for event in receipt.events:
        match event:
            case PeriodOpened():
                gas += log_gas(1, 3)
            case RequestsPosted(first=first):
                gas += _ring(first, len(requests), CAPACITY) + log_gas(1, 3 + len(offers))
            case ReleasesPosted(first=first):
                gas += _ring(first, len(releases), CAPACITY) + log_gas(1, 3 + len(needs))
            case Matched(first=first, fills=fills):
                words = words_of(first, len(fills))
                gas += _ring(first, len(fills), MATCH_CAPACITY) + log_gas(1, 3 + words)
                gas += _MATCHING + _MATCH * len(fills) + _MATCH_WORD * words
    return gas


def confirm_matches_gas(first: int, count: int) -> int:
    """Gas of a `confirm_matches` of the metering operator."""
    words = words_of(first, count)
    return (
        INTRINSIC
        + _SELECTOR
        + _calldata([first, count])
        + 2 * READ
        + OVERWRITE * words
        + log_gas(1, 2)
        + _CONFIRMING
        + _CONFIRMED_WORD * words
    )


def _calldata(words: Iterable[int]) -> int:
    return calldata_gas(b"".join(word.to_bytes(WORD) for word in words))


def _ring(first: int, count: int, capacity: int) -> int:
    """Gas of writing lanes into a ring, whose first lap writes each word for the first time."""
    words = words_of(first, count)
    end = min(first + count, capacity)
    new = max(0, -(-end // LANES_PER_WORD) - -(-first // LANES_PER_WORD))
    return FIRST_WRITE * new + OVERWRITE * (words - new)
