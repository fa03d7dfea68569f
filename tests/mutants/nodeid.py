"""A pytest plugin for mutmut 3.8, which asks for a name that pytest 9.2 no longer has."""

from __future__ import annotations

import pytest

pytest.Item._nodeid = property(lambda item: item.nodeid)  # type: ignore[attr-defined]
