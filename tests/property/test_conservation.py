"""No Wh is lost or made, and nobody jumps the queue, in any history."""

from hypothesis import given, settings

from .auditor import Auditor
from .histories import DETERMINISTIC, histories
from .markets import GENESIS, METERS, REGISTER, STRANGER, Call, Clock, new_twin, outcome


@given(history=histories(10, 60))
@settings(DETERMINISTIC, max_examples=100)
def test_every_watt_hour_is_matched_expired_or_outstanding(history):
    clock, auditor = Clock(GENESIS), Auditor()
    twin = new_twin(clock)
    opening = [Call("owner", "unpause"), Call(STRANGER, "match_pending", (1,))]
    for call in [REGISTER, *history, *opening]:
        if call.method == "wait":
            clock.time += call.arguments[0]
            continue
        events = outcome(twin, call)
        if isinstance(events, tuple):
            auditor.hear(events)
        auditor.assert_balanced()
    offered = sum(twin.request_energy(meter) for meter in METERS)
    needed = sum(twin.release_energy(meter) for meter in METERS)
    assert offered == sum(left for _, left in auditor.requests)
    assert needed == sum(left for _, left in auditor.releases)
    for index, left in enumerate(auditor.unconsumed):
        assert twin.match_at(index).energy == left
