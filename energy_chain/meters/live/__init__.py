"""Readings that come one by one, in whatever order, and the orders that they give."""
