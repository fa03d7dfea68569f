"""A peer-to-peer energy market whose matching runs on an EVM chain.

The market itself, in memory and without a chain, is a few lines away:

    MemoryLedger    the reference market
    ProducerNode    offers a home's surplus
    ConsumerNode    asks for what a home needs, and draws it
    AggregatorNode  matches

`energy_chain.chain` has the same market in a contract; `energy_chain.meters`
reads meter data; `energy_chain.record` audits. Energies are whole Wh.
"""

from energy_chain.aggregator_node import AggregatorNode, MatchingReport
from energy_chain.consumer_node import ConsumerNode
from energy_chain.errors import ChainError, EnergyChainError, InvalidInput, MarketRefusal
from energy_chain.events import Receipt
from energy_chain.ledger import Ledger
from energy_chain.market import Match, Meter, Release, Request
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.producer_node import ProducerNode

__version__ = "0.1.0"

__all__ = [
    "AggregatorNode",
    "ChainError",
    "ConsumerNode",
    "EnergyChainError",
    "InvalidInput",
    "Ledger",
    "MarketRefusal",
    "Match",
    "MatchingReport",
    "MemoryLedger",
    "Meter",
    "ProducerNode",
    "Receipt",
    "Release",
    "Request",
]
