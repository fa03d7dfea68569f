"""Confirming energy drawn, many matches at a time: confirm_deliveries and confirm_matches."""

from __future__ import annotations

import pytest

from energy_chain.packing import pack_energies
from tests.brownie import reverts
from tests.contract.orders import numbered, storage

NOT_KEPT = "energy: match is not kept"
ABOVE = "energy: value above what is left"


@pytest.fixture
def nine_matches(post, match):
    """Matches 0..8 of 1,000..1,008 Wh."""
    post(numbered(9), numbered(9))
    assert match().return_value == 9


def left(market):
    return [market.match_at(i)[3] for i in range(9)]


@pytest.mark.usefixtures("nine_matches")
class TestNine:
    def test_many_are_confirmed_at_once(self, market, operator):
        energies = [1000, 1, 1002, 500, 1004, 1005, 1006, 1007, 1008]
        words = pack_energies(energies)
        assert words[0] == 1000 << 192 | 1 << 128 | 1002 << 64 | 500
        tx = market.confirm_deliveries(0, words, {"from": operator})
        assert tx.events == [("DeliveriesConfirmed", {"first": 0, "words": words})]
        assert left(market) == [0, 1000, 0, 503, 0, 0, 0, 0, 0]

    def test_zero_leaves_a_match_alone(self, market, operator):
        words = pack_energies([0, 1, 0, 0, 0, 0, 0, 7])
        tx = market.confirm_deliveries(0, words, {"from": operator})
        assert tx.events == [("DeliveriesConfirmed", {"first": 0, "words": words})]
        assert left(market) == [1000, 1000, 1002, 1003, 1004, 1005, 1006, 1000, 1008]

    def test_confirmations_may_begin_at_any_word(self, market, operator):
        market.confirm_deliveries(4, pack_energies([4, 5, 6, 7, 8]), {"from": operator})
        assert left(market) == [1000, 1001, 1002, 1003, 1000, 1000, 1000, 1000, 1000]

    def test_parties_stay(self, market, operator, meters):
        market.confirm_deliveries(0, pack_energies([1000]), {"from": operator})
        assert market.match_at(0) == (0, meters[0], meters[0], 0)
        assert market.match_at(1) == (1, meters[1], meters[1], 1001)

    def test_what_is_left_can_be_confirmed_later(self, market, operator, meters):
        market.confirm_deliveries(0, pack_energies([400, 1]), {"from": operator})
        market.consume_match(0, 100, {"from": meters[0]})
        with reverts(ABOVE):
            market.confirm_deliveries(0, pack_energies([501]), {"from": operator})
        market.confirm_deliveries(0, pack_energies([500, 1000]), {"from": operator})
        assert left(market)[:2] == [0, 0]

    @pytest.mark.parametrize("role", ["stranger", "consumer", "producer", "owner", "aggregator"])
    def test_only_the_operator_confirms(self, market, role, request):
        with reverts("energy: sender is not operator"):
            market.confirm_deliveries(0, [1 << 192], {"from": request.getfixturevalue(role)})
        assert left(market)[0] == 1000

    def test_an_empty_batch_is_refused(self, market, operator):
        with reverts("energy: batch is empty"):
            market.confirm_deliveries(0, [], {"from": operator})

    @pytest.mark.parametrize("first", [1, 2, 3, 5, 2**256 - 1])
    def test_a_start_inside_a_word_is_refused(self, market, operator, first):
        with reverts("energy: match not at word start"):
            market.confirm_deliveries(first, [0], {"from": operator})

    @pytest.mark.parametrize(
        ("first", "words"), [(0, 4), (0, 64), (4, 3), (8, 2), (12, 1), (2048, 1), (2**256 - 4, 1)]
    )
    def test_matches_that_do_not_exist_are_refused(self, market, operator, first, words):
        with reverts(NOT_KEPT):
            market.confirm_deliveries(first, [0] * words, {"from": operator})

    @pytest.mark.parametrize("at", range(1, 4))
    def test_the_last_word_may_not_confirm_more_than_it_has(self, market, operator, at):
        word = 1 << 64 * (3 - at)
        with reverts(ABOVE):
            market.confirm_deliveries(8, [word], {"from": operator})
        market.confirm_deliveries(8, [1008 << 192], {"from": operator})

    @pytest.mark.parametrize("at", range(9))
    def test_one_energy_too_large_refuses_all(self, market, operator, at):
        energies = [1000 + i for i in range(9)]
        energies[at] += 1
        with reverts(ABOVE):
            market.confirm_deliveries(0, pack_energies(energies), {"from": operator})
        assert left(market) == [1000 + i for i in range(9)]

    @pytest.mark.parametrize("at", range(4))
    def test_the_most_energy_of_a_lane_is_too_large(self, market, operator, at):
        with reverts(ABOVE):
            market.confirm_deliveries(0, [(2**32 - 1) << 64 * at], {"from": operator})

    @pytest.mark.parametrize("bit", [32, 47, 48, 63])
    @pytest.mark.parametrize("at", range(4))
    def test_a_delivery_is_nothing_but_energy(self, market, operator, at, bit):
        with reverts("energy: delivery is not energy"):
            market.confirm_deliveries(0, [1 << 64 * at + bit], {"from": operator})
        with reverts("energy: delivery is not energy"):
            market.confirm_deliveries(0, [0, 1 << 64 * at + bit | 1], {"from": operator})


def test_256_are_confirmed_at_once(market, post, match, operator):
    post(numbered(257), numbered(257))
    match()
    match()
    market.confirm_deliveries(
        0, pack_energies([energy for _, energy in numbered(256)]), {"from": operator}
    )
    assert [market.match_at(i)[3] for i in (0, 1, 127, 254, 255, 256)] == [0, 0, 0, 0, 0, 1256]


def test_more_than_256_are_refused(market, post, match, operator):
    post(numbered(260), numbered(260))
    match()
    match()
    with reverts():
        market.confirm_deliveries(0, [0] * 65, {"from": operator})


def test_without_matches_there_is_nothing_to_confirm(market, operator):
    with reverts(NOT_KEPT):
        market.confirm_deliveries(0, [0], {"from": operator})


# ------------------------------------------------------------------ all that is left


@pytest.mark.parametrize("count", range(1, 10))
@pytest.mark.parametrize("first", [0, 1, 3, 4, 5, 8])
@pytest.mark.usefixtures("nine_matches")
def test_all_that_is_left_is_confirmed_of_any_matches(market, operator, meters, first, count):
    if first + count > 9:
        with reverts(NOT_KEPT):
            market.confirm_matches(first, count, {"from": operator})
        assert left(market) == [1000 + i for i in range(9)]
        return
    tx = market.confirm_matches(first, count, {"from": operator})
    assert tx.events == [("MatchesConfirmed", {"first": first, "count": count})]
    confirmed = range(first, first + count)
    for i in range(9):
        energy = 0 if i in confirmed else 1000 + i
        assert market.match_at(i) == (i, meters[i % 8], meters[i % 8], energy)


@pytest.mark.usefixtures("nine_matches")
class TestAllThatIsLeft:
    def test_what_was_consumed_before_stays_consumed(self, market, operator, meters):
        market.consume_match(2, 2, {"from": meters[2]})
        market.confirm_deliveries(0, pack_energies([0, 1001, 0, 3]), {"from": operator})
        market.confirm_matches(1, 3, {"from": operator})
        assert left(market) == [1000, 0, 0, 0, 1004, 1005, 1006, 1007, 1008]

    def test_confirming_again_changes_nothing(self, market, operator):
        market.confirm_matches(2, 4, {"from": operator})
        before = storage(market)
        tx = market.confirm_matches(2, 4, {"from": operator})
        assert tx.events == [("MatchesConfirmed", {"first": 2, "count": 4})]
        assert storage(market) == before

    def test_nothing_more_can_be_drawn_of_it(self, market, operator, meters):
        market.confirm_matches(0, 2, {"from": operator})
        with reverts(ABOVE):
            market.consume_match(1, 1, {"from": meters[1]})
        with reverts(ABOVE):
            market.confirm_deliveries(0, pack_energies([0, 1]), {"from": operator})
        market.consume_match(2, 1002, {"from": meters[2]})

    @pytest.mark.parametrize("role", ["stranger", "consumer", "producer", "owner", "aggregator"])
    def test_only_the_operator_confirms(self, market, role, request):
        for count in (1, 0, 257):
            with reverts("energy: sender is not operator"):
                market.confirm_matches(0, count, {"from": request.getfixturevalue(role)})
        assert left(market)[0] == 1000

    @pytest.mark.parametrize("count", [0, 257, 2**256 - 1])
    @pytest.mark.parametrize("first", [0, 9])
    def test_a_count_out_of_range_is_refused(self, market, operator, first, count):
        with reverts("energy: count not 1..256"):
            market.confirm_matches(first, count, {"from": operator})

    @pytest.mark.parametrize(
        ("first", "count"), [(0, 10), (0, 256), (8, 2), (9, 1), (2048, 1), (2**256 - 1, 1)]
    )
    def test_matches_that_do_not_exist_are_refused(self, market, operator, first, count):
        with reverts(NOT_KEPT):
            market.confirm_matches(first, count, {"from": operator})

    def test_a_pause_does_not_stop_it(self, market, owner, operator):
        market.pause({"from": owner})
        market.confirm_matches(0, 9, {"from": operator})
        assert left(market) == [0] * 9

    def test_a_word_that_was_begun_keeps_what_was_confirmed(self, market, post, match, operator):
        market.confirm_matches(8, 1, {"from": operator})
        post([(1, 5)], [(2, 5)])
        match()
        assert [market.match_at(i)[3] for i in (7, 8, 9)] == [1007, 0, 5]


@pytest.mark.parametrize("first", range(5))
def test_256_are_confirmed_from_any_match(market, post, match, operator, first):
    post(numbered(262), numbered(262))
    match()
    match()
    market.confirm_matches(first, 256, {"from": operator})
    around = [i for i in range(262) if i < first + 6 or i > first + 248]
    expected = [0 if first <= i < first + 256 else 1000 + i for i in around]
    assert [market.match_at(i)[3] for i in around] == expected


def test_matches_that_were_overwritten_are_refused_and_their_slots_left(
    market, post, match, operator
):
    post([(1, 2**32 - 1)], [])
    for _ in range(8):
        post([], [(2, 3)] * 256)
        match()
    post([], [(4, 7)])
    match()
    before = storage(market)
    for first, count in ((0, 1), (3, 1), (3, 2), (0, 256)):
        with reverts(NOT_KEPT):
            market.confirm_matches(first, count, {"from": operator})
    assert storage(market) == before
    market.confirm_matches(2046, 3, {"from": operator})  # over the end of the ring
    market.confirm_matches(4, 1, {"from": operator})
    expected = [(4, 0), (5, 3), (2045, 3), (2046, 0), (2047, 0), (2048, 0)]
    assert [(i, market.match_at(i)[3]) for i, _ in expected] == expected


def test_without_matches_there_is_nothing_left_to_confirm(market, operator):
    with reverts(NOT_KEPT):
        market.confirm_matches(0, 1, {"from": operator})
