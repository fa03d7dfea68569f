# pragma version 0.4.3
# pragma evm-version shanghai
# pragma optimize gas
"""
@title ancestor_way
@license MIT
@author The energy-chain founders
@notice BASELINE FOR THE GAS BENCHMARK, NOT TO BE DEPLOYED: how the original market stored and
        matched, in our own words. It repairs nothing.
@dev What the ancestor, a Solidity contract, stores is told by its views, its replayed defects and
     the gas of its calls: the arrays hold who posted, the Wh stand in a mapping a side. Its
     arithmetic wraps unchecked, hence `unsafe_*` throughout. Not the same here: an index out of
     bounds reverts, where it burned all gas.
@custom:defects
  Senders     anybody posts, matches and consumes for anybody; the zero address trades too.
  Values      negative ones are taken, and sums wrap.
  doMatching  matches any value, whatever was offered or needed.
  Partial     both orders are dequeued, what is left of the larger is orphaned.
  Order       newest first: the oldest starve.
  Capacity    the 101st pending order reverts: the arrays never wrap.
  Two orders  of one consumer: the second overwrites the Wh of both; of one producer: both show the sum.
  Demand      is added to where it should be taken from.
  A match     overwrites the consumer's one before, fetched or not.
  Getter      `get_mapping_data` writes.
  Own use     a meter is matched with itself.
  Silence     no event, no cancelling, no expiry, no pause, an owner without a use.
"""

SLOTS: constant(uint256) = 100


# `_address` is the producer. Two slots: Vyper never packs structs.
struct matched_entry:
    _address: address
    _value: int256


# Set and never asked.
owner: public(address)
# Who posted a request that is pending. Never deleted.
pending_requests: public(address[SLOTS])
# Who posted a release that is pending. Never deleted.
pending_release: public(address[SLOTS])
# Requests pending, and where the next one goes.
request_counter: public(uint256)
# Releases pending, and where the next one goes.
release_counter: public(uint256)
# Wh offered by a producer, over all its requests.
request: public(HashMap[address, int256])
# Wh needed by a consumer, as of its last release.
release: public(HashMap[address, int256])
# The latest match of a consumer.
matching: public(HashMap[address, matched_entry])


@deploy
def __init__():
    """
    @notice Deploys a market; the owner has no say in it.
    """
    self.owner = msg.sender


@external
def incomingRequest(_address: address, _value: int256):
    """
    @notice Posts a request, for whomever.
    @param _address The producer.
    @param _value Wh, added to what the producer offers already.
    """
    counter: uint256 = self.request_counter
    self.pending_requests[counter] = _address
    self.request[_address] = unsafe_add(self.request[_address], _value)
    self.request_counter = unsafe_add(counter, 1)  # the array ended it before


@external
def incomingRelease(_address: address, _value: int256):
    """
    @notice Posts a release, for whomever.
    @param _address The consumer.
    @param _value Wh, in place of what the consumer needed.
    """
    counter: uint256 = self.release_counter
    self.pending_release[counter] = _address
    self.release[_address] = _value
    self.release_counter = unsafe_add(counter, 1)  # the array ended it before


@external
def doMatching(_value: int256):
    """
    @notice Matches the newest request with the newest release: one match a transaction.
    @param _value Wh, which nothing is compared with.
    """
    # Of an empty queue the counter wraps, and the array refuses it.
    last_request: uint256 = unsafe_sub(self.request_counter, 1)
    last_release: uint256 = unsafe_sub(self.release_counter, 1)
    producer: address = self.pending_requests[last_request]
    consumer: address = self.pending_release[last_release]
    self.matching[consumer] = matched_entry(_address=producer, _value=_value)
    self.request[producer] = unsafe_sub(self.request[producer], _value)
    self.release[consumer] = unsafe_add(self.release[consumer], _value)
    self.request_counter = last_request
    self.release_counter = last_release


@external
def get_mapping_data(_address: address) -> address:
    """
    @notice Where a consumer's energy comes from. Also overwrites what the consumer needs.
    @param _address The consumer.
    @return The producer of its latest match; zero when it has none.
    """
    self.release[_address] = self.matching[_address]._value
    return self.matching[_address]._address


@external
def consume(_address: address, _value: int256):
    """
    @notice Takes energy off a consumer's latest match, for whomever.
    @param _address The consumer.
    @param _value Wh, which nothing is compared with.
    """
    self.matching[_address]._value = unsafe_sub(self.matching[_address]._value, _value)


@view
@external
def check_request_counter() -> uint256:
    """
    @notice Requests pending.
    @return How many; 0 means none.
    """
    return self.request_counter


@view
@external
def check_release_counter() -> uint256:
    """
    @notice Releases pending.
    @return How many; 0 means none.
    """
    return self.release_counter


@view
@external
def get_request_value() -> int256:
    """
    @notice Energy offered by whoever posted the newest request. Reverts when none is pending.
    @return Wh over all its requests.
    """
    return self.request[self.pending_requests[unsafe_sub(self.request_counter, 1)]]


@view
@external
def get_release_value() -> int256:
    """
    @notice Energy needed by whoever posted the newest release. Reverts when none is pending.
    @return Wh.
    """
    return self.release[self.pending_release[unsafe_sub(self.release_counter, 1)]]


@view
@external
def outgoingRelease(_address: address) -> address:
    """
    @notice Where a consumer's energy comes from.
    @param _address The consumer.
    @return The producer of its latest match; zero when it has none.
    """
    return self.matching[_address]._address


@view
@external
def get_matching_value(_address: address) -> int256:
    """
    @notice Energy of a consumer's latest match.
    @param _address The consumer.
    @return Wh that were not consumed; 0 when it has no match.
    """
    return self.matching[_address]._value
