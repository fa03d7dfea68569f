"""The market on an EVM chain: networks, the compiled contract, transactions, `ContractLedger`.

The only part of the package that knows web3. Importing this package imports
none of it; its modules are imported where they are used.
"""
