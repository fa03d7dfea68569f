# pragma version 0.4.3
"""
@title halmos
@license MIT
@author The energy-chain founders
@notice What a proof says to the prover: let this be any value, assume that, prove this.
"""


interface Vm:
    def assume(condition: bool): nonpayable
    def assertTrue(condition: bool): nonpayable
    def load(account: address, slot: bytes32) -> uint256: view
    def store(account: address, slot: bytes32, word: bytes32): nonpayable
    def warp(timestamp: uint256): nonpayable
    def prank(sender: address): nonpayable
    def etch(account: address, code: Bytes[24576]): nonpayable
    def getCode(artifact: String[64]) -> Bytes[24576]: view


interface Svm:
    def createUint256(name: String[32]) -> uint256: nonpayable
    def createUint(bits: uint256, name: String[32]) -> uint256: nonpayable
    def createAddress(name: String[32]) -> address: nonpayable
    def createBool(name: String[32]) -> bool: nonpayable
    def createCalldata(contract: String[32], views: bool) -> Bytes[2048]: nonpayable
    def enableSymbolicStorage(account: address): nonpayable


vm: constant(Vm) = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D)
svm: constant(Svm) = Svm(0xF3993A62377BCd56AE39D773740A5390411E8BC9)


@internal
def _assume(condition: bool):
    extcall vm.assume(condition)


@internal
def _prove(condition: bool):
    extcall vm.assertTrue(condition)


@internal
def _any_word(name: String[32]) -> uint256:
    return extcall svm.createUint256(name)


@internal
def _any_uint(bits: uint256, name: String[32]) -> uint256:
    return extcall svm.createUint(bits, name)


@internal
def _any_account(name: String[32]) -> address:
    return extcall svm.createAddress(name)


@internal
def _any_bool(name: String[32]) -> bool:
    return extcall svm.createBool(name)
