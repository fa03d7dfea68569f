"""Contracts that the benchmark measures the market's gas against. None is to be deployed."""
