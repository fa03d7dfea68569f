"""How commands end, besides 0 for done and what a shell makes of signals."""

from __future__ import annotations

AUDIT_FAILED = 1
"""The audit found a difference, or a signature is not the meter's."""
BAD_INPUT = 2
"""Input that cannot be used, or a refusal of the market."""
CHAIN_FAILED = 3
"""The chain cannot be reached, trusted or used."""
