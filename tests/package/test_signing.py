"""Orders that meters sign: the typed data, the signature, the packed form, the JSON form."""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from eth_keys.datatypes import Signature
from hypothesis import example, given, settings
from hypothesis import strategies as st

from energy_chain.errors import InvalidInput
from energy_chain.market import DEFAULT_PERIOD_LENGTH, MAX_ENERGY, MAX_SIGNED
from energy_chain.signing import (
    CURVE_ORDER,
    HIGHEST_S,
    MAX_DOCUMENT,
    MAX_EARLY,
    MAX_PRICE,
    Kind,
    OrderDocument,
    OrderDomain,
    OrderTerms,
    SignedOrder,
    digest,
    pack_signed,
    period_of,
    sign,
    signer_of,
    signing_length,
    typed_data,
)
from tests.package.command_line import ROOF_KEY

DOMAIN = OrderDomain(1337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
PERIOD = 1_977_777
END = (PERIOD + 1) * 900
REQUEST = OrderTerms(Kind.REQUEST, 1_500, PERIOD, END)
RELEASE = OrderTerms(Kind.RELEASE, 800, PERIOD, END - 100)
PARITY = 1 << 255

# Computed with ethers 6.17.0: `TypedDataEncoder.hash(domain, types, message)`, and
# `Signature.from(await new Wallet(key).signTypedData(domain, types, message))`, whose
# `compactSerialized` and `serialized` these are. The keys are the development accounts 3 and 4.
KEYS = [
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
]
SIGNERS = [
    "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
    "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
]
DIGESTS = [
    "ad64b17e2f5f8e2adf2ffd95830df3f34f0e2d8124d76ec3142a5730cece5ee7",
    "118e856f6a50a4df40bacac1d14585acfc74fd69252f91d10b14f8f6e12c421e",
]
COMPACT = [
    "0x64818a5213536b7c3042d0ed35a0577b25426919e9721ebe32b740130d803fa6"
    "23858dd5d12fdf6de5ffa943824d1722eb9768c8dd5bc95dac09d064048a6e04",
    "0xda67f65c1f0e55b386eeca28920178adca647d9a31b849f3f9d610ff340b053c"
    "d2c028d3ac81aa092385e73bf6ee48d4d2a88cdd443d800d0f8e7f5ed394b331",
]
WHOLE = [
    "0x64818a5213536b7c3042d0ed35a0577b25426919e9721ebe32b740130d803fa6"
    "23858dd5d12fdf6de5ffa943824d1722eb9768c8dd5bc95dac09d064048a6e041b",
    "0xda67f65c1f0e55b386eeca28920178adca647d9a31b849f3f9d610ff340b053c"
    "52c028d3ac81aa092385e73bf6ee48d4d2a88cdd443d800d0f8e7f5ed394b3311c",
]
VECTORS = list(zip([REQUEST, RELEASE], KEYS, SIGNERS, DIGESTS, COMPACT, WHOLE, strict=True))
SIGNED = SignedOrder.from_signature(REQUEST, COMPACT[0])

keys = st.integers(1, CURVE_ORDER - 1).map(lambda number: f"0x{number:064x}")
some_terms = st.builds(
    OrderTerms,
    st.sampled_from(Kind),
    energy=st.integers(0, MAX_ENERGY),
    period=st.integers(0, 2**32 - 1),
    deadline=st.integers(0, 2**64 - 1),
    limit_price=st.integers(0, MAX_PRICE),
)
addresses = keys.map(lambda key: str(Account.from_key(key).address))
domains = st.builds(OrderDomain, st.integers(1, 2**256 - 1), addresses)


# ------------------------------------------------------------------ the message and its signature


@pytest.mark.parametrize(("terms", "key", "signer", "hashed", "compact", "whole"), VECTORS)
def test_orders_are_signed_as_ethers_signs_them(
    terms: OrderTerms, key: str, signer: str, hashed: str, compact: str, whole: str
) -> None:
    assert digest(terms, DOMAIN).hex() == hashed
    signed = sign(terms, DOMAIN, key)
    assert signed.signature == compact
    assert signed == SignedOrder.from_signature(terms, compact)
    assert signed == SignedOrder.from_signature(terms, whole)
    assert signer_of(signed, DOMAIN) == signer


def test_the_message_is_what_wallets_take() -> None:
    assert typed_data(replace(RELEASE, limit_price=3), DOMAIN) == {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Order": [
                {"name": "kind", "type": "uint8"},
                {"name": "energy", "type": "uint32"},
                {"name": "limitPrice", "type": "uint16"},
                {"name": "period", "type": "uint32"},
                {"name": "deadline", "type": "uint64"},
            ],
        },
        "primaryType": "Order",
        "domain": {
            "name": "EnergyChain",
            "version": "1",
            "chainId": 1337,
            "verifyingContract": DOMAIN.contract,
        },
        "message": {
            "kind": 1,
            "energy": 800,
            "limitPrice": 3,
            "period": PERIOD,
            "deadline": END - 100,
        },
    }
    assert json.loads(json.dumps(typed_data(REQUEST, DOMAIN))) == typed_data(REQUEST, DOMAIN)


@settings(max_examples=50)
@given(some_terms, domains, keys)
def test_whoever_signs_is_found_again(terms: OrderTerms, domain: OrderDomain, key: str) -> None:
    signed = sign(terms, domain, key)
    account = Account.from_key(key)
    assert signer_of(signed, domain) == account.address
    assert signed.terms == terms
    assert 0 < signed.s <= HIGHEST_S
    assert len(signed.signature) == 130
    assert SignedOrder.from_signature(terms, signed.signature) == signed
    whole = f"0x{signed.r:064x}{signed.s:064x}{27 + (signed.vs >> 255):02x}"
    assert SignedOrder.from_signature(terms, whole) == signed
    # As the account signs the same message by itself.
    by_itself = account.sign_typed_data(full_message=typed_data(terms, domain))
    assert (signed.r, signed.s, 27 + (signed.vs >> 255)) == (
        by_itself.r,
        by_itself.s,
        by_itself.v,
    )


def test_a_key_is_taken_as_bytes_and_with_or_without_0x() -> None:
    digits = KEYS[0].removeprefix("0x")
    for key in (KEYS[0], digits, digits.upper(), bytes.fromhex(digits)):
        assert sign(REQUEST, DOMAIN, key) == SIGNED


@pytest.mark.parametrize(
    "altered",
    [
        {"kind": Kind.RELEASE},
        {"energy": 1_501},
        {"period": PERIOD + 1},
        {"deadline": END - 1},
        {"limit_price": 1},
    ],
    ids=lambda altered: next(iter(altered)),
)
def test_an_altered_order_is_of_another_signer(altered: dict[str, Any]) -> None:
    signer = signer_of(replace(SIGNED, terms=replace(REQUEST, **altered)), DOMAIN)
    assert signer not in (SIGNERS[0], None)


@pytest.mark.parametrize(
    "domain", [replace(DOMAIN, chain_id=1), replace(DOMAIN, contract="0x" + "11" * 20)]
)
def test_an_order_for_one_market_is_of_another_signer_elsewhere(domain: OrderDomain) -> None:
    assert signer_of(SIGNED, domain) not in (SIGNERS[0], None)


def test_an_altered_signature_is_of_another_signer_or_of_nobody() -> None:
    for altered in (
        replace(SIGNED, r=SIGNED.r ^ 1),
        replace(SIGNED, vs=SIGNED.vs ^ 1),
        replace(SIGNED, vs=SIGNED.vs ^ PARITY),
    ):
        assert signer_of(altered, DOMAIN) != SIGNERS[0]


def test_the_other_s_of_the_same_signature_is_refused() -> None:
    # With the other v, any library that does not look at s finds the same signer.
    other = f"0x{SIGNED.r:064x}{CURVE_ORDER - SIGNED.s:064x}1c"
    vrs = 1, SIGNED.r, CURVE_ORDER - SIGNED.s
    recovered = Signature(vrs=vrs).recover_public_key_from_msg_hash(digest(REQUEST, DOMAIN))
    assert recovered.to_checksum_address() == SIGNERS[0]
    with pytest.raises(InvalidInput, match=r"s below 2\*\*255"):
        SignedOrder.from_signature(REQUEST, other)
    # 64 bytes have no room for it: its highest bit is read as the parity, the rest as another s.
    compact = SignedOrder.from_signature(REQUEST, other[:-2])
    assert compact.s == CURVE_ORDER - SIGNED.s - PARITY
    assert signer_of(compact, DOMAIN) != SIGNERS[0]


def test_the_largest_s_that_is_good_is_half_the_order_of_the_curve() -> None:
    assert HIGHEST_S == 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
    assert signer_of(replace(SIGNED, vs=HIGHEST_S), DOMAIN) is not None
    assert signer_of(replace(SIGNED, vs=HIGHEST_S + 1), DOMAIN) is None
    assert signer_of(replace(SIGNED, vs=PARITY | HIGHEST_S), DOMAIN) is not None
    assert signer_of(replace(SIGNED, vs=PARITY | HIGHEST_S + 1), DOMAIN) is None


@pytest.mark.parametrize(
    ("r", "vs"),
    [
        (0, SIGNED.vs),
        (SIGNED.r, 0),
        (SIGNED.r, PARITY),
        (0, 0),
        (CURVE_ORDER, SIGNED.vs),
        (CURVE_ORDER + SIGNED.r % 2**120, SIGNED.vs),
        (2**256 - 1, SIGNED.vs),
        (5, SIGNED.vs),  # no point of the curve has this x
        (SIGNED.r, 2**256 + SIGNED.vs),
        (2**256, SIGNED.vs),
        (-1, SIGNED.vs),
    ],
)
def test_what_is_no_signature_is_of_nobody(r: int, vs: int) -> None:
    assert signer_of(SignedOrder(REQUEST, r, vs), DOMAIN) is None


@pytest.mark.parametrize(
    "key",
    [
        ROOF_KEY[:-2],
        ROOF_KEY + "00",
        "0x" + ROOF_KEY[:-1] + "g",
        bytes.fromhex(ROOF_KEY)[:-1],
        ROOF_KEY + "é",
        "0x" + "0" * 64,
        f"0x{CURVE_ORDER:064x}",
        "0x" + "f" * 64,
        "",
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(key: str | bytes) -> None:
    with pytest.raises(
        InvalidInput, match=r"^that is no private key .*: give 32 bytes in"
    ) as found:
        sign(REQUEST, DOMAIN, key)
    # What libraries say stays out of it: a later version may repeat the key.
    assert found.value.__cause__ is None
    told = "".join(traceback.format_exception(found.value))
    for form in (ROOF_KEY[:-2], repr(bytes.fromhex(ROOF_KEY))[2:-5], f"{CURVE_ORDER:x}", "f" * 64):
        assert form not in told.lower()


def test_a_market_that_cannot_be_is_not_blamed_on_the_key() -> None:
    with pytest.raises(Exception, match=r"address|Address") as found:
        sign(REQUEST, replace(DOMAIN, contract="somewhere"), KEYS[0])
    assert "private key" not in str(found.value)


# ------------------------------------------------------------------ ranges


@pytest.mark.parametrize(
    ("field", "largest", "told"),
    [
        ("energy", 4_294_967_295, "energy"),
        ("period", 4_294_967_295, "period"),
        ("deadline", 18_446_744_073_709_551_615, "deadline"),
        ("limit_price", 65_535, "limit price"),
    ],
)
def test_what_the_fields_of_the_message_cannot_hold_is_refused(
    field: str, largest: int, told: str
) -> None:
    for value in (0, 1, largest):
        assert getattr(replace(REQUEST, **{field: value}), field) == value
    for bad in (-1, largest + 1, 1.0, True, "1", None):
        with pytest.raises(InvalidInput) as found:
            replace(REQUEST, **{field: bad})
        assert str(found.value) == (
            f"{told} {bad!r} of an order to sign is out of range: give an int in 0..{largest}"
        )


def test_orders_are_signed_for_900_s_where_they_never_expire() -> None:
    assert [signing_length(length) for length in (0, 60, 3600)] == [DEFAULT_PERIOD_LENGTH, 60, 3600]


# ------------------------------------------------------------------ 64 and 65 bytes


def test_a_signature_is_taken_in_either_case_and_without_0x() -> None:
    for text in (COMPACT[0][2:], COMPACT[0][2:].upper(), "0x" + WHOLE[0][2:].upper()):
        assert SignedOrder.from_signature(REQUEST, text) == SIGNED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        COMPACT[0][:-1],
        COMPACT[0][:-2],
        COMPACT[0] + "0",
        WHOLE[0] + "00",
        WHOLE[0] + "0",
        COMPACT[0][:-1] + "g",
        COMPACT[0][:-2] + " 5",
        COMPACT[0] + " ",
        "0x0x" + COMPACT[0][4:],
        COMPACT[0][:-1] + "٤",
    ],
)
def test_what_is_not_64_or_65_bytes_is_no_signature(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not 64 or 65 bytes: give 0x and 128 or 130 hexade"):
        SignedOrder.from_signature(REQUEST, text)


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_the_last_byte_of_65_is_27_or_28(v: int) -> None:
    with pytest.raises(InvalidInput, match=f"last byte is {v} and its s 0x.*: v is 27 or 28 and s"):
        SignedOrder.from_signature(REQUEST, f"{WHOLE[0][:-2]}{v:02x}")


def test_an_s_of_65_bytes_leaves_no_room_for_a_parity() -> None:
    for s, good in ((PARITY - 1, True), (PARITY, False)):
        text = f"{WHOLE[0][:66]}{s:064x}1c"
        if good:
            assert SignedOrder.from_signature(REQUEST, text).vs == PARITY | s
        else:
            with pytest.raises(InvalidInput, match=r"s below 2\*\*255"):
                SignedOrder.from_signature(REQUEST, text)


# ------------------------------------------------------------------ the packed form


def test_an_order_is_packed_as_the_codec_draws_it() -> None:
    assert pack_signed(replace(SIGNED, terms=RELEASE), END) == (
        1 << 96 | 100 << 64 | 800,
        SIGNED.r,
        SIGNED.vs,
    )
    assert pack_signed(SIGNED, END)[0] == 1_500
    assert pack_signed(replace(SIGNED, terms=replace(REQUEST, limit_price=7)), END)[0] == (
        7 << 48 | 1_500
    )


@given(some_terms, st.integers(0, MAX_EARLY))
@example(replace(REQUEST, energy=MAX_ENERGY, limit_price=MAX_PRICE), MAX_EARLY)
def test_the_fields_of_packed_terms_do_not_touch(terms: OrderTerms, early: int) -> None:
    packed, r, vs = pack_signed(SignedOrder(terms, 5, 6), terms.deadline + early)
    assert (r, vs) == (5, 6)
    assert packed & 2**32 - 1 == terms.energy
    assert packed >> 32 & 2**16 - 1 == 0
    assert packed >> 48 & 2**16 - 1 == terms.limit_price
    assert packed >> 64 & 2**32 - 1 == early
    assert packed >> 96 == terms.kind


def test_a_deadline_is_in_the_136_years_up_to_the_end_of_the_period() -> None:
    assert pack_signed(SIGNED, END + MAX_EARLY)[0] == MAX_EARLY << 64 | 1_500
    for ends in (END - 1, END + MAX_EARLY + 1):
        with pytest.raises(InvalidInput) as found:
            pack_signed(SIGNED, ends)
        assert str(found.value) == (
            f"deadline {END} of an order for period {PERIOD} is not in the period: "
            f"give at most {ends}, when it ends"
        )


def test_a_batch_is_of_one_period_and_of_100_orders_at_most() -> None:
    assert period_of([]) == 0
    assert period_of([SIGNED]) == PERIOD
    assert period_of([SIGNED] * MAX_SIGNED) == PERIOD
    with pytest.raises(InvalidInput, match=r"^a batch of 101 signed orders is too large: .* 100$"):
        period_of([SIGNED] * 101)
    later = [replace(SIGNED, terms=replace(REQUEST, period=PERIOD + n)) for n in (3, 0, 1)]
    with pytest.raises(InvalidInput, match=f"of periods {PERIOD} to {PERIOD + 3}: post each"):
        period_of(later)
    with pytest.raises(InvalidInput, match=f"of periods {PERIOD} to {PERIOD + 1}: post each"):
        period_of(later[1:])


# ------------------------------------------------------------------ the JSON form

DOCUMENT: dict[str, Any] = {
    "kind": "request",
    "energy_wh": 1_500,
    "limit_price": 0,
    "period": PERIOD,
    "deadline": END,
    "chain_id": 1337,
    "contract": DOMAIN.contract,
    "meter": SIGNERS[0],
    "signature": COMPACT[0],
}
LARGEST = {
    "energy_wh": (0, MAX_ENERGY),
    "limit_price": (0, MAX_PRICE),
    "period": (0, 2**32 - 1),
    "deadline": (0, 2**64 - 1),
    "chain_id": (1, 2**256 - 1),
}


def test_an_order_travels_as_json() -> None:
    document = OrderDocument(SIGNED, DOMAIN, SIGNERS[0])
    assert document.to_json() == DOCUMENT
    assert list(document.to_json()) == list(DOCUMENT)
    assert OrderDocument.from_json(DOCUMENT) == document
    assert document.signer == SIGNERS[0]


@settings(max_examples=50)
@given(some_terms, domains, keys, st.booleans())
def test_what_is_written_as_json_is_read_as_it_was(
    terms: OrderTerms, domain: OrderDomain, key: str, named: bool
) -> None:
    meter = str(Account.from_key(key).address) if named else None
    document = OrderDocument(sign(terms, domain, key), domain, meter)
    text = json.dumps(document.to_json()).encode()
    assert OrderDocument.parse(text) == document
    assert len(text) < 600 < MAX_DOCUMENT


def test_a_document_takes_a_whole_signature_and_lower_case_addresses_and_no_meter() -> None:
    given = {**DOCUMENT, "signature": WHOLE[0], "contract": DOMAIN.contract.lower()}
    del given["meter"]
    document = OrderDocument.from_json(given)
    assert document == OrderDocument(SIGNED, DOMAIN, None)
    assert "meter" not in document.to_json()


def test_a_signature_of_nobody_is_no_fault_of_the_document() -> None:
    given = {**DOCUMENT, "signature": "0x" + "00" * 64}
    assert OrderDocument.from_json(given).signer is None


@pytest.mark.parametrize("field", [field for field in DOCUMENT if field != "meter"])
def test_a_document_has_every_field(field: str) -> None:
    given = {name: value for name, value in DOCUMENT.items() if name != field}
    with pytest.raises(InvalidInput, match=f"^the signed order has no {field}: give it as it was"):
        OrderDocument.from_json(given)


@pytest.mark.parametrize("field", ["price", "energy", "", "Kind", "v"])
def test_a_document_has_no_other_field(field: str) -> None:
    with pytest.raises(InvalidInput, match=f"has no field {field!r}: leave it out; the fields are"):
        OrderDocument.from_json({**DOCUMENT, field: 1})


@pytest.mark.parametrize(("field", "ends"), LARGEST.items())
def test_the_numbers_of_a_document_are_integers_in_their_ranges(
    field: str, ends: tuple[int, int]
) -> None:
    for good in ends:
        assert OrderDocument.from_json({**DOCUMENT, field: good}).to_json()[field] == good
    for bad in (ends[0] - 1, ends[1] + 1, 1.0, True, "1", None, [1], float("nan")):
        with pytest.raises(InvalidInput) as found:
            OrderDocument.from_json({**DOCUMENT, field: bad})
        shown = "what was given" if bad == 2**256 else repr(bad)
        assert str(found.value) == (
            f"{field} {shown} of a signed order is out of range: "
            f"give an integer in {ends[0]}..{ends[1]}"
        )


@pytest.mark.parametrize(
    ("field", "values", "told"),
    [
        ("kind", ["Request", "", 0, None, ["request"]], "give request or release"),
        (
            "contract",
            ["0x12", None, 5, SIGNERS[0][2:]],
            "^contract of a signed order: .* is not an",
        ),
        ("contract", [SIGNERS[0][:-1] + "7"], "^contract of .* checksum of .* is wrong"),
        ("meter", ["dev3", None, 0], "^meter of a signed order: .* is not an address"),
        ("signature", [None, 5, COMPACT[0][2:], "0X" + COMPACT[0][2:]], "is not hexadecimal"),
        ("signature", ["0x", COMPACT[0] + "00" * 2], "is not 64 or 65 bytes"),
    ],
)
def test_the_texts_of_a_document_are_what_they_should_be(
    field: str, values: list[Any], told: str
) -> None:
    for value in values:
        with pytest.raises(InvalidInput, match=told):
            OrderDocument.from_json({**DOCUMENT, field: value})


@pytest.mark.parametrize("value", [None, [], [DOCUMENT], "order", 5])
def test_a_document_is_an_object(value: Any) -> None:
    with pytest.raises(
        InvalidInput, match=r"^a signed order is a JSON object, not .*: give one wit"
    ):
        OrderDocument.from_json(value)


def text_of(**changes: Any) -> str:
    return json.dumps({**DOCUMENT, **changes})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "that is no JSON"),
        (b"{", "that is no JSON"),
        (text_of().encode("utf-16"), "that is no JSON"),
        (b"\xef\xbb\xbf" + text_of().encode(), "that is no JSON"),
        (text_of(kind="\xff").replace("\\u00ff", "\xff").encode("latin-1"), "that is no JSON"),
        (b"[" * MAX_DOCUMENT, "that is no JSON"),
        (text_of().replace("1500", "9" * 5_000).encode(), "that is no JSON"),
        (text_of().replace("1500", "1500.0").encode(), "energy_wh 1500.0 of"),
        (text_of().replace("1500", "NaN").encode(), "energy_wh nan of"),
        (text_of().replace("{", '{"kind": "request", ').encode(), "field 'kind' stands there twi"),
        (b'{"kind": {"a": 1, "a": 2}}', "field 'a' stands there twice: give it once"),
        (b" " * (MAX_DOCUMENT + 1), "^10,001 bytes are too many for a signed order: give one ord"),
    ],
)
def test_a_text_that_is_no_signed_order_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        OrderDocument.parse(content)


def test_a_text_that_is_nested_deeply_is_refused() -> None:
    before = sys.getrecursionlimit()  # hypothesis raises it
    sys.setrecursionlimit(1_000)
    try:
        with pytest.raises(InvalidInput, match=r"that is no JSON \(RecursionError\)"):
            OrderDocument.parse(b"[" * MAX_DOCUMENT)
    finally:
        sys.setrecursionlimit(before)


def test_a_text_may_be_as_long_as_the_limit() -> None:
    text = text_of().encode()
    padded = text + b"\n" * (MAX_DOCUMENT - len(text))
    assert OrderDocument.parse(padded).to_json() == DOCUMENT


def test_a_key_in_the_place_of_an_order_is_not_repeated() -> None:
    number = int(ROOF_KEY, 16)
    for content in (
        ROOF_KEY,
        json.dumps(ROOF_KEY),
        json.dumps({ROOF_KEY: 1}),
        text_of(meter="0x" + ROOF_KEY),
        text_of(kind=ROOF_KEY),
        text_of(signature="0x" + ROOF_KEY),
        text_of(**{ROOF_KEY: 1}),
        text_of(period=number),
        text_of(chain_id=f"{number}"),
        f'{{"{ROOF_KEY}": 1, "{ROOF_KEY}": 2}}',
    ):
        with pytest.raises(InvalidInput) as found:
            OrderDocument.parse(content.encode())
        told = "".join(traceback.format_exception(found.value))
        assert ROOF_KEY not in told
        assert str(number) not in told
