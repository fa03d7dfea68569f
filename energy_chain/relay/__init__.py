"""The relay: takes orders that meters have signed over HTTP, and posts them in batches.

It pays the gas and can forge or alter nothing; docs/relay.md says what it can and cannot do.
"""
