"""`python -m energy_chain`: the same as `energy-chain`."""

from energy_chain.cli import main

main()
