"""What only the ledger on a chain can meet."""

import pytest

from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.errors import InvalidEnergy, InvalidInput, NotOurContract, NotTheOwner
from energy_chain.market import ZERO_ADDRESS

from ..property.markets import ACCOUNTS

NO_KEY = "0x000000000000000000000000000000000000dEaD"
MALFORMED = [
    "",
    "0x",
    "not an address",
    NO_KEY[:-1],
    NO_KEY[2:],
    "0x000000000000000000000000000000000000DeaD",  # a wrong checksum
    None,
    5,
    b"\0" * 20,
]


@pytest.fixture
def sender(contract_market):
    return contract_market.ledger._sender


def test_an_address_without_code_is_not_our_contract(contract_market, sender):
    with pytest.raises(NotOurContract, match="no contract at"):
        ContractLedger(sender, NO_KEY, contract_market.owner)


def test_other_code_is_not_our_contract(contract_market, sender):
    # Init code that returns the 33 bytes 00.
    receipt = sender.send(contract_market.owner, None, "0x60216000f3", 100_000, "deploy")
    with pytest.raises(NotOurContract, match="another contract at"):
        ContractLedger(sender, receipt["contractAddress"], contract_market.owner)


def test_a_contract_is_found_again_at_its_address(contract_market, sender):
    address = contract_market.ledger.address
    found = ContractLedger(sender, address.lower(), contract_market.owner)
    assert found.address == address
    assert found.meter_count() == 5


@pytest.mark.parametrize("address", MALFORMED, ids=repr)
def test_a_malformed_address_is_invalid_input(contract_market, sender, address):
    ledger = contract_market.ledger
    for call in (
        lambda: ContractLedger(sender, address, contract_market.owner),
        lambda: ContractLedger.deploy(sender, contract_market.owner, address, NO_KEY, 900),
        lambda: ContractLedger.deploy(sender, contract_market.owner, NO_KEY, address, 900),
        lambda: ledger.as_account(address),
        lambda: ledger.post_request(address, 1),
        lambda: ledger.post_release(address, 1),
        lambda: ledger.consume(address, 1),
        lambda: ledger.register_meters([NO_KEY, address]),
        lambda: ledger.retire_meter(address),
        lambda: ledger.transfer_ownership(address),
        lambda: ledger.set_aggregator(address),
        lambda: ledger.set_metering_operator(address),
        lambda: ledger.request_energy(address),
        lambda: ledger.release_energy(address),
        lambda: ledger.matches_of(address),
        lambda: ledger.latest_match(address),
        lambda: ledger.meter(address),
    ):
        with pytest.raises(InvalidInput):
            call()


def test_an_account_without_a_key_reads_but_sends_nothing(contract_market):
    ledger = contract_market.ledger.as_account(NO_KEY)
    assert ledger.owner() == contract_market.owner
    with pytest.raises(InvalidInput, match="there is no key for 0x0000"):
        ledger.pause()


def test_after_a_refusal_the_next_transaction_of_the_account_works(contract_market):
    stranger = contract_market.as_("stranger")
    for _ in range(2):
        with pytest.raises(NotTheOwner):
            stranger.pause()
        assert stranger.match_pending(1)
    assert not stranger.paused()


def test_what_is_refused_before_it_is_sent_costs_no_block(contract_market):
    before = contract_market.now()
    with pytest.raises(InvalidEnergy):
        contract_market.as_("producer").post_request(contract_market.producer, 2**256)
    assert contract_market.now() == before


def test_a_receipt_tells_what_a_call_cost_and_where_it_is(contract_market):
    receipt = contract_market.as_("producer").post_request(contract_market.producer, 1)
    assert receipt.gas_used > 21_000
    assert receipt.block > 0
    assert len(receipt.transaction) == 66
    assert list(contract_market.ledger.history())[-1].transaction == receipt.transaction


def test_no_repr_shows_a_key(contract_market, sender):
    shown = "".join(map(repr, (sender, contract_market.ledger, sender.connection)))
    for account in ACCOUNTS:
        assert account.key.hex() not in shown


def test_no_error_shows_a_key(contract_market):
    with pytest.raises(NotTheOwner) as caught:
        contract_market.as_("stranger").pause()
    for account in ACCOUNTS:
        assert account.key.hex() not in repr(caught.value)


def test_the_zero_address_is_an_address(contract_market):
    assert contract_market.ledger.meter(ZERO_ADDRESS) is None


def test_a_ledger_tells_what_is_waited_for_and_what_is_under_way(contract_market):
    producer = contract_market.as_("producer")
    assert producer.trouble is None
    assert producer.under_way() == (0, None)
    outbox, (entry, _) = producer._sender.outbox, posted(producer)
    outbox.reopen(entry.id)  # as when a reorganisation has lost it
    assert producer.under_way() == (1, entry.created_at)
    assert contract_market.as_("consumer").under_way() == (0, None)
    assert producer._sender.tend() == 0
    assert producer.under_way() == (0, None)


def posted(ledger):
    """A transaction of a ledger's account, as its outbox has it."""
    ledger.post_request(ledger.account, 1)
    return ledger._sender.outbox.newest_mined(ledger.account)
