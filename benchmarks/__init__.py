"""Gas of the market's calls, measured on the embedded chain: `python -m benchmarks`."""
