"""Every error that this package raises on purpose.

    EnergyChainError
    ├── InvalidInput (ValueError)   what the caller gave cannot be used
    │   ├── UnknownAccount
    │   └── WrongPassphrase
    ├── MarketRefusal               the market's rules refuse a call: a subclass for each reason
    └── ChainError                  the chain cannot be reached, trusted or used
        ├── NodeUnreachable (ConnectionError)
        ├── WrongChain
        ├── NotOurContract
        ├── ContradictoryChain      what the chain tells does not fit together
        ├── OutOfFunds
        ├── FeeAboveCeiling
        ├── TransactionFailed       mined without effect, for no reason of the market's
        ├── ReceiptTimeout (TimeoutError)
        └── NodeJsMissing           Ganache has nothing to run on

Whatever raises one of them has changed nothing, `ReceiptTimeout` excepted: a
transaction that was sent may still be mined.
"""

from __future__ import annotations

from typing import ClassVar


class EnergyChainError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidInput(EnergyChainError, ValueError):
    """What the caller gave cannot be used. The message names the value and the remedy."""


class UnknownAccount(InvalidInput):
    """There is no account of that name, or no key for that address."""


class WrongPassphrase(InvalidInput):
    """The passphrase does not open the account."""


class MarketRefusal(EnergyChainError):
    """The market's rules refuse a call, which has changed nothing.

    The contract and its Python twin raise the same subclass for the same call.
    """

    reason: ClassVar[str]
    """What the contract reverts with, word for word."""
    remedy: ClassVar[str]

    def __init__(self, call: str = "") -> None:
        self.call = call
        refused = f"{self.reason} [{call}]" if call else self.reason
        super().__init__(f"{refused}: {self.remedy}")


class InvalidEnergy(MarketRefusal):
    """An energy is not a whole number of Wh that an order can hold."""

    reason = "energy: value not 1..2**32-1 Wh"
    remedy = "give whole watt-hours, 1 to 4,294,967,295"


class InvalidPeriodLength(MarketRefusal):
    """The period length of a deployment is neither 0 nor 60..31,622,400 s."""

    reason = "energy: period length is invalid"
    remedy = "give 60 to 31,622,400 seconds, or 0 for orders that never expire"


class InvalidMaxMatches(MarketRefusal):
    """The number of matches of one call is out of range."""

    reason = "energy: max_matches not 1..256"
    remedy = "give 1 to 256"


class InvalidMatchCount(MarketRefusal):
    """The number of matches to confirm in one call is out of range."""

    reason = "energy: count not 1..256"
    remedy = "give 1 to 256"


class ZeroAddress(MarketRefusal):
    """A meter or a role would be the zero address."""

    reason = "energy: address is zero"
    remedy = "give the address of an account"


class NotTheOwner(MarketRefusal):
    """Only the owner may do that."""

    reason = "energy: sender is not the owner"
    remedy = "send it from the owner's account"


class NotThePendingOwner(MarketRefusal):
    """The ownership was not offered to the sender."""

    reason = "energy: sender not pending owner"
    remedy = "let the owner call transfer_ownership with this account first"


class NotTheAggregator(MarketRefusal):
    """Only the aggregator may do that."""

    reason = "energy: sender is not aggregator"
    remedy = "send it from the aggregator's account, or use match_pending, which anyone may call"


class NotTheOperator(MarketRefusal):
    """Only the metering operator, or the meter for itself, may do that."""

    reason = "energy: sender is not operator"
    remedy = "send it from the metering operator's account, or from the meter's own"


class NotARegistrar(MarketRefusal):
    """Only the owner and the metering operator may register and retire meters."""

    reason = "energy: sender may not register"
    remedy = "send it from the owner's or the metering operator's account"


class MarketPaused(MarketRefusal):
    """Posting and matching are stopped."""

    reason = "energy: market is paused"
    remedy = "wait until the owner unpauses; reading and consuming go on"


class MarketNotPaused(MarketRefusal):
    """There is no pause to end."""

    reason = "energy: market is not paused"
    remedy = "nothing to do: posting and matching are running"


class MeterNotRegistered(MarketRefusal):
    """The meter was never registered."""

    reason = "energy: meter is not registered"
    remedy = "let the owner or the metering operator do energy-chain register with its address"


class MeterAlreadyRegistered(MarketRefusal):
    """The meter is registered and not retired."""

    reason = "energy: meter is registered"
    remedy = "leave it out"


class MeterIsRetired(MarketRefusal):
    """The meter was retired: it posts no more."""

    reason = "energy: meter is retired"
    remedy = "register it again; it gets its number back"


class MeterNumbersUsedUp(MarketRefusal):
    """All 65,535 meter numbers are taken."""

    reason = "energy: meter numbers used up"
    remedy = "deploy a second contract: one contract serves one community"


class RequestRingFull(MarketRefusal):
    """There is no room for that many requests."""

    reason = "energy: ring of requests is full"
    remedy = "match what is pending, or wait for the next period"


class ReleaseRingFull(MarketRefusal):
    """There is no room for that many releases."""

    reason = "energy: ring of releases is full"
    remedy = "match what is pending, or wait for the next period"


class CounterUsedUp(MarketRefusal):
    """A counter has reached 2**32 - 1."""

    reason = "energy: counter is used up"
    remedy = "deploy a new contract and go on there"


class BatchEmpty(MarketRefusal):
    """A batch has no words."""

    reason = "energy: batch is empty"
    remedy = "give at least one order or energy"


class MalformedOrder(MarketRefusal):
    """An order of a batch has no energy, or the number of no registered meter, or leaves a gap."""

    reason = "energy: order lacks meter or Wh"
    remedy = "give every order 1 to 4,294,967,295 Wh and the number of a registered meter"


class LimitPriceNotZero(MarketRefusal):
    """The bits reserved for the limit price are in use."""

    reason = "energy: limit price is not zero"
    remedy = "leave them zero: this version trades without prices"


class OtherPeriod(MarketRefusal):
    """Signed orders are not of the current period."""

    reason = "energy: orders of another period"
    remedy = "sign for the period that is now, and relay within it"


class SignatureHigh(MarketRefusal):
    """The s of a signature is above half the curve's order (EIP-2)."""

    reason = "energy: signature has a high s"
    remedy = "sign with a library that gives the lower s, as all of Ethereum's do"


class MalformedSignedOrder(MarketRefusal):
    """The packed terms of a signed order have bits that mean nothing."""

    reason = "energy: signed order malformed"
    remedy = "pack it as docs/protocol.md says; kind is 0 or 1"


class DeadlinePassed(MarketRefusal):
    """A signed order came after its deadline."""

    reason = "energy: deadline has passed"
    remedy = "sign a new order with a later deadline"


class SignerNotRegistered(MarketRefusal):
    """The signature of an order is of no registered meter: maybe the order was altered."""

    reason = "energy: signer is not registered"
    remedy = "check the chain id, the contract, the period and the key, or register the meter"


class AlreadyPosted(MarketRefusal):
    """A signed order of that meter, kind and period was posted before."""

    reason = "energy: meter has posted already"
    remedy = "one signed order of a kind is good in a period: wait for the next"


class CannotMatch(MarketRefusal):
    """The queues do not hold that much energy, or it takes more than 256 matches."""

    reason = "energy: cannot match that much"
    remedy = "ask for less, or use match_pending"


class NoMatch(MarketRefusal):
    """The ring of matches keeps no match of that consumer."""

    reason = "energy: consumer has no match"
    remedy = "wait until a release of the consumer is matched"


class MatchNotKept(MarketRefusal):
    """The match does not exist yet, or the ring of matches has overwritten it."""

    reason = "energy: match is not kept"
    remedy = "confirm deliveries before 2,048 newer matches are written"


class ConfirmationMisaligned(MarketRefusal):
    """A batch of confirmations does not begin at the start of a word."""

    reason = "energy: match not at word start"
    remedy = "begin at a multiple of four and give 0 Wh for matches to be left alone"


class MalformedDelivery(MarketRefusal):
    """A word of confirmations has bits outside its energies."""

    reason = "energy: delivery is not energy"
    remedy = "leave the bits of the meters zero"


class AboveMatched(MarketRefusal):
    """More would be consumed than was matched."""

    reason = "energy: value above what is left"
    remedy = "confirm at most what is matched and not consumed yet"


REFUSALS: dict[str, type[MarketRefusal]] = {
    cls.reason: cls for cls in MarketRefusal.__subclasses__()
}
"""The subclass of each reason that the contract reverts with."""


class ChainError(EnergyChainError):
    """The chain cannot be reached, trusted or used."""


class NodeUnreachable(ChainError, ConnectionError):
    """The node does not answer."""


class WrongChain(ChainError):
    """The node serves another chain than the one that was asked for."""


class NotOurContract(ChainError):
    """There is no contract at the address, or not this one."""


class ContradictoryChain(ChainError):
    """What a node tells does not fit together: something is left out or made up."""


class OutOfFunds(ChainError):
    """The account that sends a transaction cannot pay for it."""


class FeeAboveCeiling(ChainError):
    """Gas costs more than the network's ceiling allows."""


class TransactionFailed(ChainError):
    """A transaction was refused by the node, or was mined without effect."""


class ReceiptTimeout(ChainError, TimeoutError):
    """A transaction was sent but not mined in time. It may be mined later."""


class NodeJsMissing(ChainError):
    """Node.js, which Ganache runs on, is not installed or too old."""
