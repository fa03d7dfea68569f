"""How to break the contract for each proof: one that holds all the same would prove nothing."""

from __future__ import annotations

# The proof; what stands in the contract, once; and what takes its place.
SABOTAGES: list[tuple[str, str, str]] = [
    (
        "a_stranger_changes_nothing",
        "    self._check_owner()\n    if self.state < PAUSED:",
        "    if self.state < PAUSED:",
    ),
    (
        "a_stranger_changes_nothing",
        "        self._check_operator(self.registry)\n    if energy >",
        "        pass\n    if energy >",
    ),
    (
        "roles_pass_on_by_consent_only",
        "if msg.sender != self.pending_owner:",
        "if self.pending_owner == empty(address):",
    ),
    (
        "roles_pass_on_by_consent_only",
        "    self._check_owner()\n    self._set_aggregator(",
        "    self._set_aggregator(",
    ),
    (
        "counters_never_fall",
        "KEPT_BY_PERIOD: constant(uint256) = PAUSED | FIELD << MATCHES_AT | TAILS",
        "KEPT_BY_PERIOD: constant(uint256) = PAUSED | TAILS",
    ),
    (
        "consumed_match",
        "if energy > word >> at & limits.MAX_ENERGY:",
        "if energy > word >> at & (limits.MAX_ENERGY << 1 | 1):",
    ),
    (
        "consumed_match",
        "    self._check_kept(index, 1)\n",
        "",
    ),
    (
        "pause_never_stops_consuming",
        "    at: uint256 = packed_orders._match_shift(index)\n    if msg.sender",
        "    at: uint256 = packed_orders._match_shift(index)\n    assert self.state < PAUSED\n"
        "    if msg.sender",
    ),
    (
        "consumed_latest_match",
        "if i == 0 or index & 3 == 3:",
        "if i == 0:",
    ),
    (
        "confirmed_word",
        "if changed & ~packed_orders.ENERGIES != 0:",
        "if changed & packed_orders.GUARDS != 0:",
    ),
    (
        "confirmed_matches",
        "drawn: uint256 = packed_orders.ENERGIES >> ((first & 3) << 6)",
        "drawn: uint256 = packed_orders.ENERGIES",
    ),
    (
        "one_match",
        "| releases & METER | needed",
        "| releases & METER | offered",
    ),
    (
        "two_matches",
        "if filling >= packed_orders.FULL_MATCH_WORD:",
        "if filling >= packed_orders.FULL_MATCH_WORD << 8:",
    ),
    (
        "posted_order_is_read_back",
        "self.pending[word] |= order << (lane << 6)",
        "self.pending[word] = order << (lane << 6)",
    ),
    (
        "posted_word",
        "            & unsafe_sub(highest, word)\n",
        "",
    ),
    (
        "posted_word",
        "carry = word >> right",
        "carry = 0",
    ),
    (
        "no_retired_meter_posts_packed",
        "for lane: uint256 in range(4):",
        "for lane: uint256 in range(3):",
    ),
    (
        "full_ring_is_refused",
        "> limits.CAPACITY:  # head <= tail",
        "> limits.CAPACITY + 4:",
    ),
    (
        "only_registered_meters_post",
        "    if unsafe_sub(number, 1) >= limits.MAX_METERS:",
        "    if number == 0:",
    ),
    (
        "only_registered_meters_post",
        "    if msg.sender != meter:\n        self._check_operator(self.registry)\n",
        "",
    ),
    (
        "new_period",
        "return state & KEPT_BY_PERIOD | (state & TAILS) >> TAIL",
        "return state & KEPT_BY_PERIOD",
    ),
    (
        "pause_stops_posting_and_matching",
        '    if state >= PAUSED:\n        self._refuse("energy: market is paused")\n    log',
        "    log",
    ),
    (
        "registered_numbers",
        "count = unsafe_add(count, 1)  # compared above",
        "count = unsafe_add(count, 2)",
    ),
    (
        "numbers_are_kept",
        "self.numbers[meter] = unsafe_add(number, RETIRED)",
        "self.numbers[meter] = 0",
    ),
    (
        "views_never_revert",
        "    if number > limits.MAX_METERS:\n        return empty(address)\n",
        "",
    ),
]
