"""Readings of neighbourhoods that do not exist."""
