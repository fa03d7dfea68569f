"""From a command's options to a chain, its accounts and its market."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from energy_chain.errors import InvalidInput, NotOurContract
from energy_chain.market import ZERO_ADDRESS, Address

if TYPE_CHECKING:
    from energy_chain.chain.accounts import Accounts
    from energy_chain.chain.connection import Connection
    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.chain.networks import Network
    from energy_chain.chain.outbox import Outbox
    from energy_chain.chain.passphrases import PassphraseSource
    from energy_chain.chain.sender import TransactionSender
    from energy_chain.signing import OrderDomain

OWNER, AGGREGATOR, OPERATOR = "dev0", "dev1", "dev2"
"""Who has which role on a development network, unless somebody says otherwise."""
FIRST_HOME = 3
"""The first development account without a role."""
RELAYER = "dev19"
"""Who posts signed orders on a development network, unless somebody says otherwise."""


class Session:
    """What a command was told, opened as far as it asks for."""

    def __init__(
        self,
        network: str | None = None,
        account: str | None = None,
        contract: str | None = None,
        passphrase_file: Path | None = None,
    ) -> None:
        """The options of the same names."""
        self._network = network
        self._account = account
        self._contract = contract
        self._passphrase_file = passphrase_file
        self._senders: list[TransactionSender] = []

    @cached_property
    def network(self) -> Network:
        """The network.

        Raises:
            InvalidInput: the settings cannot be used, or it is unknown.
        """
        from energy_chain.settings import load_settings

        settings = load_settings()
        return settings.network_of(self._network or settings.network or "ganache")

    @cached_property
    def passphrases(self) -> PassphraseSource:
        """Where passphrases come from."""
        from getpass import getpass

        from energy_chain.chain.passphrases import PassphraseSource

        return PassphraseSource(self._passphrase_file, getpass if sys.stdin.isatty() else None)

    @cached_property
    def accounts(self) -> Accounts:
        """The accounts that may sign on the network. Asks the node only where no chain id is set.

        Raises:
            NodeUnreachable, WrongChain: see `Connection`.
        """
        from energy_chain.chain.accounts import Accounts
        from energy_chain.chain.keystore import Keystore

        keystore = Keystore(self.network.keystore)
        development = self.network.is_development
        if development is None:
            development = self.connection.is_development
        return Accounts(keystore, development, self.passphrases)

    def accounts_for(self, chain_id: int) -> Accounts:
        """The accounts that may sign something for a chain id. Asks no node."""
        from energy_chain.chain.accounts import Accounts
        from energy_chain.chain.keystore import Keystore
        from energy_chain.chain.networks import DEVELOPMENT_CHAIN_IDS

        # What the network is says nothing of another chain's id.
        ours = self.network.chain_id in (None, chain_id)
        development = self.network.development if ours else None
        if development is None:
            development = chain_id in DEVELOPMENT_CHAIN_IDS
        return Accounts(Keystore(self.network.keystore), development, self.passphrases)

    def order_domain(self, chain_id: int | None) -> OrderDomain:
        """What an order is to be signed for: as given, or as remembered. Asks no node.

        Args:
            chain_id: of the chain; that of the network when None.

        Raises:
            InvalidInput: the chain id or the contract is not known, or the network has another.
        """
        from energy_chain.chain.addresses import parse_address
        from energy_chain.chain.deployments import remembered
        from energy_chain.signing import OrderDomain

        network = self.network
        if self._network and network.chain_id not in (None, chain_id or network.chain_id):
            raise InvalidInput(
                f"{network.name} is chain {network.chain_id}, not {chain_id}: give --network or "
                "--chain-id, or two that agree"
            )
        chain_id = chain_id or network.chain_id
        if chain_id is None:
            raise InvalidInput(
                f"the chain id of {network.name} is not in the settings: give --chain-id"
            )
        contract = self._contract
        if contract is None and network.chain_id in (None, chain_id):
            contract = network.contract
        if contract is None and (known := remembered(chain_id, network.name)):
            contract = known.address
        if contract is None:
            raise InvalidInput(
                f"no market is known on chain {chain_id}: give --contract ADDRESS, or deploy one "
                "from this machine"
            )
        return OrderDomain(chain_id, parse_address(contract))

    @cached_property
    def connection(self) -> Connection:
        """The chain.

        Raises:
            InvalidInput: it is the embedded one, which ends with the command.
            NodeUnreachable, WrongChain: see `Connection`.
        """
        from energy_chain.chain.connection import Connection
        from energy_chain.chain.networks import EMBEDDED

        if self.network.name == EMBEDDED.name:
            raise InvalidInput(
                "the embedded chain ends with the command that started it: give --network ganache, "
                "which energy-chain ganache starts, or another network"
            )
        return Connection.open(self.network)

    def outbox(self) -> Outbox:
        """What this machine has under way on the chain.

        Raises:
            InvalidInput: its file cannot be used.
            NodeUnreachable, WrongChain: see `Connection`.
        """
        from energy_chain.chain.outbox import Outbox

        return Outbox.open(self.outbox_file())

    def outbox_file(self) -> Path:
        """Where is kept what this machine has under way on the chain.

        Raises:
            NodeUnreachable, WrongChain: see `Connection`.
        """
        from energy_chain.chain.outbox import outbox_file

        return outbox_file(self.connection.chain_id, self.connection.genesis())

    def signer(self, default: str | None = None) -> str:
        """The account that signs, as it was given; `default` on a development network.

        Raises:
            InvalidInput: none was given.
        """
        if self._account:
            return self._account
        if default and self.connection.is_development:
            return default
        raise InvalidInput(
            "nobody is given to sign: give --account NAME; energy-chain accounts list shows them"
        )

    def meter(self, reference: str | None, ledger: ContractLedger) -> Address:
        """The meter that is meant: the one given, or the account that signs.

        Raises:
            InvalidInput: it is no account and no address.
        """
        return self.accounts.address(reference) if reference else ledger.account

    @contextmanager
    def until_stopped(self) -> Iterator[Event]:
        """An event that SIGINT and SIGTERM set, while time goes on as `in_time` says."""
        from energy_chain.chain.tender import Tender
        from energy_chain.cli.daemon import GRACE_SECONDS, until_stopped

        with until_stopped(GRACE_SECONDS) as stop, self.in_time(), ExitStack() as stack:
            for sender in self._senders:
                sender.stop = stop
                stack.enter_context(Tender(sender, _warn))
            yield stop

    def in_time(self) -> AbstractContextManager[object]:
        """Keeps a development chain's time going, and says it when another one stands still."""
        from energy_chain.chain.clock import Heartbeat
        from energy_chain.cli.printing import print_waiting

        return Heartbeat(self.network, report=print_waiting)

    def market(self, default: str | None = None, also: Iterable[str] = ()) -> ContractLedger:
        """The market, acted on by the account that signs.

        Args:
            default: who signs on a development network where nobody is given.
            also: accounts that sign as well, for `ContractLedger.as_account`.

        Raises:
            EnergyChainError: something is not as it should be; nothing was sent.
        """
        # First the chain and the contract: nobody types a passphrase for nothing.
        reader = self.reader()
        return self._opened(reader.address, reader.first_block, [self.signer(default), *also])

    def reader(self) -> ContractLedger:
        """The market, to be looked at.

        Raises:
            EnergyChainError: something is not as it should be.
        """
        return self._reader

    def reader_at(self, address: Address, first_block: int) -> ContractLedger:
        """The market at an address, to be looked at.

        Raises:
            NotOurContract: there is none of ours.
        """
        return self._opened(address, first_block, ())

    @property
    def contract(self) -> Address | None:
        """The address of the market, as it was given. Asks no node.

        Raises:
            InvalidInput: it is no address.
        """
        from energy_chain.chain.addresses import parse_address

        return parse_address(self._contract) if self._contract else None

    def market_known_on(self, chain_id: int, genesis: str) -> Address | None:
        """The market that is meant on a chain: as given, or as remembered. Asks no node.

        Args:
            chain_id: of the chain.
            genesis: hash of its block 0.

        Returns:
            None where nothing says which one is meant.

        Raises:
            InvalidInput: what is given is no address, or the settings cannot be used.
        """
        from energy_chain.chain.addresses import parse_address
        from energy_chain.chain.deployments import remembered

        network = self.network
        given = self._contract
        if given is None and network.chain_id in (None, chain_id):
            given = network.contract
        if given is not None:
            return parse_address(given)
        known = remembered(chain_id, network.name, genesis)
        return known.address if known else None

    @cached_property
    def _reader(self) -> ContractLedger:
        from energy_chain.chain.deployments import recall

        given = self._contract or self.network.contract
        if given:
            return self.reader_at(given, 0)
        known = recall(self.connection)
        if known is None:
            raise NotOurContract(
                f"no market is known on {self.network.name}, chain {self.connection.chain_id}: "
                f"deploy one with energy-chain deploy --network {self.network.name}, or give "
                "--contract ADDRESS where it was deployed from another machine"
            )
        return self.reader_at(known.address, known.block)

    def _opened(self, address: Address, first_block: int, signers: Sequence[str]) -> ContractLedger:
        from energy_chain.chain.contract_ledger import ContractLedger
        from energy_chain.chain.sender import TransactionSender

        accounts = [self.accounts.unlock(reference) for reference in signers]
        if accounts:
            sender = TransactionSender.durable(self.connection, accounts)
            self._senders.append(sender)
        else:
            sender = TransactionSender(self.connection, ())
        me = str(accounts[0].address) if accounts else ZERO_ADDRESS
        return ContractLedger(sender, address, me, first_block)


def _warn(said: str) -> None:
    print(said, file=sys.stderr)
