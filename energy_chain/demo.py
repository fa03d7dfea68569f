"""The demo: a neighbourhood trades on a chain of its own, and is audited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.check import require_evm
from energy_chain.chain.clock import ChainClock
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import EMBEDDED, Network
from energy_chain.chain.sender import TransactionSender
from energy_chain.errors import InvalidInput, WrongChain
from energy_chain.market import Address
from energy_chain.meters import Readings
from energy_chain.record.audit import AuditReport, audit
from energy_chain.replay import Relay, Trade, replay

HOME_BALANCE = 10**18
"""Wei that each home is given where it owns nothing."""
TRANSFER_GAS = 21_000
SPARE_BLOCKS = 10
"""Blocks of a period on the embedded chain that are not for posting and drawing."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo traded, where, and what the audit says."""

    network: str
    chain_id: int
    contract: str
    trade: Trade
    audit: AuditReport


def run_demo(
    readings: Readings,
    network: Network,
    progress: Callable[[Trade], None] = lambda _: None,
    packed: bool = False,
    signed: bool = False,
    opened: Callable[[ContractLedger], None] = lambda _: None,
) -> DemoResult:
    """Deploys a market, lets the homes of `readings` trade, and audits what the chain says.

    Args:
        readings: what the homes' meters measured.
        network: where; a development network, because the accounts are public knowledge.
        progress: called after each period.
        packed: as for `replay`.
        signed: whether the homes' meters sign their orders, and an account without a role relays
            them. Not with `packed`.
        opened: told the market as soon as it is there.

    Raises:
        InvalidInput: there are more homes than the embedded chain has room for, or orders are to
            be both packed and signed.
        WrongChain: the network is no development network.
        EnergyChainError: as `replay` raises it.
    """
    if packed and signed:
        raise InvalidInput("--packed and --signed are two ways to trade: give one of them")
    period_length = int(readings.period.total_seconds())
    if network.name == EMBEDDED.name and not packed and not signed:
        _check_room(len(readings.meters), period_length)
    everyone = development_accounts(3 + len(readings.meters) + signed)
    owner, aggregator, operator, *others = everyone
    homes, relayers = others[: len(readings.meters)], others[len(readings.meters) :]
    begin = int(readings.starts[0].timestamp()) // period_length - 1
    connection = Connection.open(
        network, [account.address for account in everyone], begin * period_length
    )
    if not connection.is_development:
        raise WrongChain(
            f"{network.name} is chain {connection.chain_id}, not a development chain: the demo "
            "signs with keys that everybody knows; use Ganache, anvil or the embedded chain"
        )
    if network.name != EMBEDDED.name:
        require_evm(connection)
    sender = TransactionSender.durable(connection, everyone)
    fund(sender, owner.address, [account.address for account in everyone[1:]])
    ledger = ContractLedger.deploy(
        sender, owner.address, aggregator.address, operator.address, period_length
    )
    opened(ledger)
    keys = {str(home.address): bytes(home.key) for home in homes}
    relays = [Relay(ledger.as_account(relayer.address), keys) for relayer in relayers]
    trade = replay(
        readings,
        {meter: home.address for meter, home in zip(readings.meters, homes, strict=True)},
        ledger.as_account(operator.address),
        ChainClock(connection, period_length, readings.period),
        progress,
        packed,
        None if packed else ledger.as_account(aggregator.address),
        next(iter(relays), None),
    )
    return DemoResult(
        network.name,
        connection.chain_id,
        ledger.address,
        trade,
        audit(ledger.history(), ledger),
    )


def fund(sender: TransactionSender, giver: Address, accounts: Sequence[Address]) -> None:
    """Gives an ether to each account of a development chain that has less than one."""
    for account in accounts:
        if sender.connection.balance(account) < HOME_BALANCE:
            sender.send(giver, account, "0x", TRANSFER_GAS, "funding", HOME_BALANCE)


def _check_room(homes: int, period_length: int) -> None:
    # The embedded chain has a block a second and a transaction a block. Every home posts, and there
    # are fewer matches to draw than homes.
    most = (period_length - SPARE_BLOCKS) // 2
    if homes > most:
        raise InvalidInput(
            f"{homes} homes are too many for the embedded chain, which has room for {most} in "
            f"periods of {period_length} s: give --homes {most} or fewer"
        )
