"""The record of what the chain said, and what can be proved from it."""
