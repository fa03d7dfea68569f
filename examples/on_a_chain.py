"""The README's example in the contract, on the embedded chain: python examples/on_a_chain.py"""

from energy_chain import AggregatorNode, ConsumerNode, ProducerNode
from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import EMBEDDED
from energy_chain.chain.sender import TransactionSender
from energy_chain.record.audit import audit

accounts = development_accounts(5)
owner, aggregator, operator, solar_roof, bakery = (account.address for account in accounts)

connection = Connection.open(EMBEDDED, [account.address for account in accounts])
sender = TransactionSender(connection, accounts)
market = ContractLedger.deploy(sender, owner, aggregator, operator, period_length=900)
market.as_account(operator).register_meters([solar_roof, bakery])

posted = ProducerNode(market.as_account(solar_roof)).put_energy_request(solar_roof, 1_500)
print(f"request posted for {posted.gas_used:,} gas: {posted.events[-1]}")

consumer = ConsumerNode(market.as_account(bakery))
consumer.put_energy_release(bakery, 1_200)
report = AggregatorNode(market.as_account(aggregator)).check_incoming_energy()
print(f"{report.matches} match of {report.energy:,} Wh for {report.gas_used:,} gas")

print(f"the bakery draws from {consumer.fetch_target_address(bakery)}")
consumer.draw(bakery)

verdict = audit(market.history(), market)
print(f"audit: {'clean' if verdict.clean else verdict.difference}; {verdict.requests}")
