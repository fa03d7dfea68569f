"""Accounts: development accounts, the keystore, passphrases, references to them.

A fast way from passphrase to encryption key stands in for the strong one.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import pbkdf2_hmac
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.constants import SECPK1_N
from eth_utils import keccak
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from energy_chain.chain.accounts import Accounts, development_accounts
from energy_chain.chain.addresses import parse_address
from energy_chain.chain.keystore import (
    Keystore,
    KnownAccount,
    account_from_key,
    account_from_key_file,
    account_from_keystore_file,
)
from energy_chain.chain.passphrases import PASSPHRASE, PASSPHRASE_FILE, PassphraseSource
from energy_chain.chain.private_files import write_private_file
from energy_chain.errors import InvalidInput, UnknownAccount, WrongPassphrase

# Neither stands anywhere but in tests: finding one of them in a text is finding a leak.
KEY = "c0ffee5ec2e7" * 5 + "c0de"
SECRET = "canary-passphrase-4711"
NO_KEY = SECPK1_N + 4711
NO_KEY_BYTES = NO_KEY.to_bytes(32, "big")
ALICE = Account.from_key(KEY)
BOB = Account.from_key("0b" * 32)
STRANGER = "0x" + "ab" * 20
DEV0, DEV1 = development_accounts(2)

needs_modes = pytest.mark.skipif(os.name != "posix", reason="files have no mode bits here")


@pytest.fixture(autouse=True)
def _nothing_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(PASSPHRASE, raising=False)
    monkeypatch.delenv(PASSPHRASE_FILE, raising=False)


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    return fast_keystore(tmp_path / "keystore")


def fast_keystore(folder: Path) -> Keystore:
    return Keystore(folder, kdf="pbkdf2", iterations=1)


def typing(*answers: str) -> PassphraseSource:
    """A person who types these answers, and has no others."""
    rest = list(answers)
    return PassphraseSource(prompt=lambda _question: rest.pop(0))


def private(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return path


def with_alice(keystore: Keystore) -> KnownAccount:
    return keystore.add("alice", ALICE, typing(SECRET, SECRET))


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def encrypted(content: bytes) -> dict[str, Any]:
    """The `crypto` of a keystore file, of anything: libraries encrypt keys only."""
    crypto: dict[str, Any] = ALICE.encrypt(SECRET, kdf="pbkdf2", iterations=1)["crypto"]
    salt = bytes.fromhex(crypto["kdfparams"]["salt"])
    derived = pbkdf2_hmac("sha256", SECRET.encode(), salt, 1)
    # AES in counter mode: what changes in the text changes in the same place of the ciphertext.
    old = zip(bytes.fromhex(crypto["ciphertext"]), ALICE.key, strict=True)
    ciphertext = bytes(a ^ b ^ c for (a, b), c in zip(old, content, strict=False))
    mac = keccak(derived[16:] + ciphertext)
    return {**crypto, "ciphertext": ciphertext.hex(), "mac": mac.hex()}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ------------------------------------------------------------------ the keystore


def test_a_new_account_is_kept_and_unlocked(keystore: Keystore) -> None:
    made = keystore.new("alice", typing(SECRET, SECRET))
    assert made.path == keystore.folder / "alice.json"
    assert keystore.account("alice") == made
    assert keystore.list() == (made,)
    assert keystore.unlock("alice", typing(SECRET)).address == made.address


def test_every_new_account_has_a_key_of_its_own(keystore: Keystore) -> None:
    first = keystore.new("a", typing(SECRET, SECRET))
    assert keystore.new("b", typing(SECRET, SECRET)).address != first.address


def test_the_keystore_is_in_the_home_folder_unless_given(tmp_path: Path) -> None:
    assert Keystore().folder == tmp_path / "home" / "keystore"


def test_a_keystore_without_accounts_is_empty_and_makes_no_folder(keystore: Keystore) -> None:
    assert keystore.list() == ()
    assert not keystore.folder.exists()


@needs_modes
def test_files_are_for_their_owner_only_whatever_the_umask(keystore: Keystore) -> None:
    old = os.umask(0)
    try:
        made = with_alice(keystore)
    finally:
        os.umask(old)
    assert made.path is not None
    assert mode(keystore.folder) == 0o700
    assert mode(made.path) == 0o600


def test_a_file_is_a_keystore_of_version_3_that_others_can_read(keystore: Keystore) -> None:
    path = with_alice(keystore).path
    assert path is not None
    document = json.loads(path.read_text())
    assert document["version"] == 3
    assert document["crypto"]["kdf"] == "pbkdf2"
    assert bytes(Account.decrypt(document, SECRET)).hex() == KEY
    assert KEY not in path.read_text().lower()


def test_the_encryption_is_the_strong_one_unless_a_test_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def encrypt(_self: LocalAccount, _passphrase: str, **kdf: Any) -> dict[str, Any]:
        asked.update(kdf)
        return {}

    monkeypatch.setattr(LocalAccount, "encrypt", encrypt)
    monkeypatch.setenv("ETH_ACCOUNT_KDF", "pbkdf2")
    with_alice(Keystore(tmp_path))
    assert asked == {"kdf": "scrypt", "iterations": None}


def test_accounts_are_listed_by_name_and_other_files_left_alone(keystore: Keystore) -> None:
    for name, account in ("bob", BOB), ("alice", ALICE):
        keystore.add(name, account, typing(SECRET, SECRET))
    for other in "notes.txt", "UTC--2020.json", ".alice.json", "dev0.json", ".x.tmp":
        private(keystore.folder / other, "whatever")
    assert keystore.names() == ("alice", "bob")
    assert [known.address for known in keystore.list()] == [ALICE.address, BOB.address]


@pytest.mark.parametrize("name", ["a", "dev", "meter-12_b", "development", "dev-1", "a" * 32])
def test_a_name_is_lower_case_letters_digits_and_dashes(keystore: Keystore, name: str) -> None:
    assert keystore.new(name, typing(SECRET, SECRET)).name == name


@pytest.mark.parametrize(
    "name", ["", "Alice", "1a", "-a", "a/b", "../a", "a.json", "a b", "é", "a" * 33, "a\n"]
)
def test_another_name_is_refused_before_a_passphrase_is_asked_for(
    keystore: Keystore, name: str
) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name of an account: give up to 32"):
        keystore.new(name, typing())
    with pytest.raises(InvalidInput, match="cannot be the name of an account: give up to 32"):
        keystore.unlock(name, typing())


@pytest.mark.parametrize("name", ["dev0", "dev19", "dev20", "dev007"])
def test_the_names_of_development_accounts_are_reserved(keystore: Keystore, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{name}' is the name of a development account"):
        keystore.new(name, typing())


def test_an_account_is_never_overwritten(keystore: Keystore) -> None:
    path = with_alice(keystore).path
    assert path is not None
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match=r"an account 'alice' already, in .*alice.json"):
        keystore.add("alice", BOB, typing())
    assert path.read_bytes() == before


def test_of_two_accounts_made_at_once_under_one_name_one_is_refused(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_are_writing = Barrier(2, timeout=30)
    make = tempfile.mkstemp

    def mkstemp(**where: Any) -> tuple[int, str]:
        both_are_writing.wait()
        return make(**where)

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)

    def add(account: LocalAccount) -> KnownAccount | InvalidInput:
        try:
            return keystore.add("alice", account, typing(SECRET, SECRET))
        except InvalidInput as refused:
            return refused

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(add, [ALICE, BOB]))
    made = next(result for result in results if isinstance(result, KnownAccount))
    refused = next(result for result in results if isinstance(result, InvalidInput))
    assert "there is an account 'alice' already" in str(refused)
    assert keystore.unlock("alice", typing(SECRET)).address == made.address
    assert files(keystore.folder) == ["alice.json"]


@pytest.mark.parametrize(
    "interruption", [OSError(28, "No space left on device"), KeyboardInterrupt]
)
def test_an_interrupted_write_leaves_nothing(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch, interruption: Any
) -> None:
    def fsync(_file: int) -> None:
        raise interruption

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises((InvalidInput, KeyboardInterrupt)):
            with_alice(keystore)
    assert files(keystore.folder) == []
    with_alice(keystore)


def test_what_a_killed_process_has_left_is_no_account(keystore: Keystore) -> None:
    keystore.folder.mkdir()
    private(keystore.folder / ".k1ll3d.tmp", '{"address": "f3')
    assert keystore.list() == ()
    with_alice(keystore)
    assert keystore.names() == ("alice",)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    private(tmp_path / "file", "")
    with pytest.raises(InvalidInput, match=r"cannot write .*alice.json: .*ENERGY_CHAIN_HOME"):
        with_alice(fast_keystore(tmp_path / "file"))


def test_a_file_system_that_cannot_keep_accounts_is_told(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hardlink_to(_self: Path, _target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", hardlink_to)
    with pytest.raises(InvalidInput, match=r"alice.json: Operation not permitted: let ENERGY"):
        with_alice(keystore)
    assert files(keystore.folder) == []


def test_an_unknown_name_is_refused_with_the_known_ones(keystore: Keystore) -> None:
    with pytest.raises(UnknownAccount, match=r"no account 'bob' in .*keystore .*there: none\)"):
        keystore.account("bob")
    with_alice(keystore)
    with pytest.raises(UnknownAccount, match=r"there: alice\).*`energy-chain accounts new bob`"):
        keystore.unlock("bob", typing())


def test_a_wrong_passphrase_names_the_account_only(keystore: Keystore) -> None:
    with_alice(keystore)
    with pytest.raises(WrongPassphrase) as refused:
        keystore.unlock("alice", typing("wrong"))
    assert str(refused.value) == "the passphrase of account 'alice' is wrong: try again"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '{"version": 1}',
        '{"version": 4}',
        "[" * 10_000,
        b"\xff\xfe",
        KEY,
    ],
)
def test_a_file_that_is_no_keystore_is_named(keystore: Keystore, text: str | bytes) -> None:
    keystore.folder.mkdir()
    private(keystore.folder / "alice.json", text)
    with pytest.raises(InvalidInput, match=r"alice.json is not an Ethereum keystore file of ver"):
        keystore.account("alice")
    with pytest.raises(InvalidInput, match=r"alice.json is not an Ethereum keystore file of ver"):
        keystore.unlock("alice", typing())


@pytest.mark.parametrize("address", [None, "", 5, "f39f", "0x" + "zz" * 20, [ALICE.address]])
def test_a_file_without_an_address_is_named(keystore: Keystore, address: Any) -> None:
    path = with_alice(keystore).path
    assert path is not None
    change(path, address=address)
    with pytest.raises(InvalidInput, match=r"alice.json does not say whose key it has"):
        keystore.unlock("alice", typing())


@pytest.mark.parametrize(
    "crypto",
    [
        None,
        {},
        {"kdf": "rot13"},
        {"kdf": "pbkdf2", "kdfparams": {}},
        {"kdf": "pbkdf2", "kdfparams": {"salt": "00", "dklen": 32, "prf": "md5", "c": 1}},
        {
            "kdf": "pbkdf2",
            "kdfparams": {"salt": "0", "dklen": 32, "prf": "hmac-sha256", "c": 2**99},
        },
        {"kdf": "scrypt", "kdfparams": {"salt": "", "dklen": 32, "n": 3, "r": 8, "p": 1}},
        {"kdf": "scrypt", "kdfparams": {"salt": "", "dklen": 32, "n": "a", "r": 8, "p": 1}},
    ],
)
def test_a_file_that_lacks_something_is_named(keystore: Keystore, crypto: Any) -> None:
    path = with_alice(keystore).path
    assert path is not None
    change(path, crypto=crypto)
    with pytest.raises(InvalidInput, match=r"alice.json is not a whole keystore file") as refused:
        keystore.unlock("alice", typing(SECRET))
    assert not isinstance(refused.value, WrongPassphrase)


def test_an_address_that_was_changed_is_refused_when_unlocking(keystore: Keystore) -> None:
    path = with_alice(keystore).path
    assert path is not None
    change(path, address=BOB.address[2:])
    message = (
        f"alice.json says .* the key of {BOB.address}, but has that of {ALICE.address}: it was"
    )
    with pytest.raises(InvalidInput, match=message):
        keystore.unlock("alice", typing(SECRET))


def test_a_key_that_was_exchanged_is_refused_when_unlocking(keystore: Keystore) -> None:
    path = with_alice(keystore).path
    assert path is not None
    change(path, crypto=BOB.encrypt(SECRET, kdf="pbkdf2", iterations=1)["crypto"])
    with pytest.raises(InvalidInput, match=r"alice.json says that it has the key of"):
        keystore.unlock("alice", typing(SECRET))


@pytest.mark.parametrize("number", [0, SECPK1_N, NO_KEY])
def test_a_file_with_a_number_that_is_no_key_is_named(keystore: Keystore, number: int) -> None:
    path = with_alice(keystore).path
    assert path is not None
    change(path, crypto=encrypted(number.to_bytes(32, "big")))
    with pytest.raises(InvalidInput, match=r"what .*alice.json has is not a private key: its num"):
        keystore.unlock("alice", typing(SECRET))


def test_a_file_with_half_a_key_is_named(keystore: Keystore) -> None:
    path = with_alice(keystore).path
    assert path is not None
    change(path, crypto=encrypted(ALICE.key[:16]))
    with pytest.raises(InvalidInput, match=r"what .*alice.json has is not a private key: give 64"):
        keystore.unlock("alice", typing(SECRET))


def test_an_address_with_0x_or_in_lower_case_is_as_good(keystore: Keystore) -> None:
    path = with_alice(keystore).path
    assert path is not None
    for address in ALICE.address, ALICE.address.lower(), ALICE.address[2:].lower():
        change(path, address=address)
        assert keystore.account("alice").address == ALICE.address
        assert keystore.unlock("alice", typing(SECRET)).address == ALICE.address


@needs_modes
def test_a_credential_of_systemd_may_be_read_through_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passphrase = private(tmp_path / "passphrase", SECRET)
    passphrase.chmod(0o440)
    with pytest.raises(InvalidInput, match="chmod 600"):
        PassphraseSource(passphrase).existing("alice")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert PassphraseSource(passphrase).existing("alice").get_secret_value() == SECRET
    for bits in (0o460, 0o444, 0o442):
        passphrase.chmod(bits)
        with pytest.raises(InvalidInput, match="chmod 600"):
            PassphraseSource(passphrase).existing("alice")
    (tmp_path / "elsewhere").mkdir()
    elsewhere = private(tmp_path / "elsewhere" / "passphrase", SECRET)
    elsewhere.chmod(0o440)
    with pytest.raises(InvalidInput, match="chmod 600"):
        PassphraseSource(elsewhere).existing("alice")


@needs_modes
@pytest.mark.parametrize("bits", [0o640, 0o620, 0o604, 0o602, 0o644, 0o666])
def test_a_file_that_others_can_read_or_write_is_refused(
    keystore: Keystore, tmp_path: Path, bits: int
) -> None:
    path = with_alice(keystore).path
    assert path is not None
    path.chmod(bits)
    with pytest.raises(InvalidInput, match=r"others .* can read .*: chmod 600 .*alice.json$"):
        keystore.account("alice")
    with pytest.raises(InvalidInput, match="chmod 600"):
        keystore.unlock("alice", typing())
    secret = private(tmp_path / "my secret", SECRET)
    secret.chmod(bits)
    with pytest.raises(InvalidInput, match=r"chmod 600 '.*my secret'$"):
        PassphraseSource(secret).existing("alice")
    with pytest.raises(InvalidInput, match="chmod 600"):
        account_from_key_file(secret)
    with pytest.raises(InvalidInput, match="chmod 600"):
        account_from_keystore_file(path, typing())


@needs_modes
@pytest.mark.parametrize("bits", [0o600, 0o400, 0o700])
def test_a_file_that_only_its_owner_can_read_is_fine(tmp_path: Path, bits: int) -> None:
    path = private(tmp_path / "secret", SECRET)
    path.chmod(bits)
    assert PassphraseSource(path).existing("alice").get_secret_value() == SECRET


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    for use in (
        account_from_key_file,
        lambda path: account_from_keystore_file(path, typing()),
        lambda path: PassphraseSource(path).existing("alice"),
    ):
        with pytest.raises(InvalidInput, match=f"cannot read .*{name}"):
            use(tmp_path / name)


@pytest.mark.parametrize("content", ["x" * 10_001, "[" * 1_000_000])
def test_a_file_too_long_for_a_secret_is_refused(tmp_path: Path, content: str) -> None:
    path = private(tmp_path / "big", content)
    with pytest.raises(InvalidInput, match=r"big is too long to hold a key or a passphrase"):
        account_from_keystore_file(path, typing())
    with pytest.raises(InvalidInput, match=r"big is too long to hold a key or a passphrase"):
        PassphraseSource(path).existing("alice")


# ------------------------------------------------------------------ passphrases

PASSPHRASES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=15)
@given(key=st.integers(1, SECPK1_N - 1), passphrase=PASSPHRASES)
@example(1, "\0")
@example(SECPK1_N - 1, " spaces around ")
@example(2, "Schlüssel-鍵-🔑-e\u0301")
@example(3, "\ufeff")
def test_every_key_comes_back_with_its_passphrase_only(key: int, passphrase: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        keystore = fast_keystore(Path(folder))
        account = account_from_key(SecretStr(f"{key:064x}"))
        known = keystore.add("alice", account, typing(passphrase, passphrase))
        assert known.address == account.address
        assert keystore.unlock("alice", typing(passphrase)).key == key.to_bytes(32, "big")
        with pytest.raises(WrongPassphrase):
            keystore.unlock("alice", typing(passphrase + " "))


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"two words", "two words"),
        (b"unix\n", "unix"),
        (b"windows\r\n", "windows"),
        (b"first\nsecond\n", "first"),
        (b" kept \t\n", " kept \t"),
        (b"\r\r\n", "\r"),
        (b"x" * 10_000, "x" * 10_000),
        ("ключ\u2028\x85\n".encode(), "ключ\u2028\x85"),
    ],
)
def test_the_passphrase_of_a_file_is_its_first_line(
    tmp_path: Path, content: bytes, passphrase: str
) -> None:
    source = PassphraseSource(private(tmp_path / "secret", content))
    assert source.existing("alice").get_secret_value() == passphrase
    assert source.new("alice").get_secret_value() == passphrase


def test_the_sources_of_passphrases_have_an_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_file, named_file = (private(tmp_path / name, name) for name in ("given", "named"))

    def found(file: Path | None = None) -> str:
        source = PassphraseSource(file, lambda _question: "typed")
        assert source.new("alice") == source.existing("alice")
        return source.existing("alice").get_secret_value()

    assert found() == "typed"
    monkeypatch.setenv(PASSPHRASE_FILE, str(named_file))
    assert found() == "named"
    monkeypatch.setenv(PASSPHRASE, "environment")
    assert found() == "environment"
    assert found(given_file) == "given"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE, "")
    monkeypatch.setenv(PASSPHRASE_FILE, "")
    assert typing("typed").existing("alice").get_secret_value() == "typed"


def test_without_any_source_the_three_ways_are_told() -> None:
    for ask in PassphraseSource().existing, PassphraseSource().new:
        with pytest.raises(InvalidInput) as refused:
            ask("alice")
        for way in "a passphrase file", PASSPHRASE, PASSPHRASE_FILE, "terminal":
            assert way in str(refused.value)


def test_a_person_is_told_for_which_account_the_passphrase_is(keystore: Keystore) -> None:
    questions = []

    def prompt(question: str) -> str:
        questions.append(question)
        return SECRET

    keystore.add("alice", ALICE, PassphraseSource(prompt=prompt))
    keystore.unlock("alice", PassphraseSource(prompt=prompt))
    assert questions == [
        "New passphrase for account 'alice': ",
        "The same again: ",
        "Passphrase of account 'alice': ",
    ]


def test_two_different_answers_make_no_account(keystore: Keystore) -> None:
    with pytest.raises(InvalidInput, match="the two passphrases for account 'alice' differ"):
        keystore.new("alice", typing(SECRET, SECRET + "x"))
    assert keystore.list() == ()


def test_an_empty_passphrase_makes_no_account(keystore: Keystore, tmp_path: Path) -> None:
    for source in typing("", ""), PassphraseSource(private(tmp_path / "empty", "\nsecond")):
        with pytest.raises(InvalidInput, match="the passphrase for account 'alice' is empty"):
            keystore.new("alice", source)
    assert keystore.list() == ()


def test_an_empty_passphrase_opens_a_file_of_another_program(tmp_path: Path) -> None:
    document = ALICE.encrypt("", kdf="pbkdf2", iterations=1)
    path = private(tmp_path / "UTC--1.json", json.dumps(document))
    assert account_from_keystore_file(path, typing("")).address == ALICE.address
    empty = PassphraseSource(private(tmp_path / "empty", ""), prompt=None)
    assert account_from_keystore_file(path, empty).address == ALICE.address


def test_a_passphrase_that_is_not_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = private(tmp_path / "latin", SECRET.encode() + b"\xe9\n")
    with pytest.raises(InvalidInput, match=r"the passphrase in .*latin is not UTF-8"):
        PassphraseSource(path).existing("alice")
    monkeypatch.setenv(PASSPHRASE, SECRET + "\udce9")
    with pytest.raises(InvalidInput, match=f"the passphrase in {PASSPHRASE} is not UTF-8"):
        PassphraseSource().existing("alice")


# ------------------------------------------------------------------ imported keys


@pytest.mark.parametrize("text", [KEY, "0x" + KEY, KEY.upper(), f" 0x{KEY}\n"])
def test_a_private_key_is_64_digits_with_or_without_0x(tmp_path: Path, text: str) -> None:
    assert account_from_key(SecretStr(text)).address == ALICE.address
    assert account_from_key_file(private(tmp_path / "key", text)).address == ALICE.address


@pytest.mark.parametrize(
    "text",
    ["", "0x", KEY[:-1], KEY + "0", "0x0x" + KEY, KEY[:-1] + "g", KEY + "\n" + KEY, "٣" * 64],
)
def test_what_is_no_private_key_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="what was given is not a private key: give 64 hexad"):
        account_from_key(SecretStr(text))
    path = private(tmp_path / "key", text)
    with pytest.raises(InvalidInput, match="key is not a private key: give 64 hexadecimal digits"):
        account_from_key_file(path)


@pytest.mark.parametrize("number", [0, SECPK1_N, 2**256 - 1])
def test_a_number_out_of_the_range_of_keys_is_refused(number: int) -> None:
    with pytest.raises(InvalidInput, match="its number is out of range"):
        account_from_key(SecretStr(f"{number:064x}"))


@pytest.mark.parametrize("number", [1, SECPK1_N - 1])
def test_the_ends_of_the_range_are_keys(number: int) -> None:
    account = account_from_key(SecretStr(f"{number:064x}"))
    assert account.key == number.to_bytes(32, "big")


def test_a_keystore_file_of_another_program_is_imported(keystore: Keystore, tmp_path: Path) -> None:
    # The test vector of the Web3 Secret Storage Definition, as geth writes it.
    document = {
        "address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144,
                "dklen": 32,
                "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    }
    path = private(tmp_path / "UTC--2015.json", json.dumps(document))
    account = account_from_keystore_file(path, typing("testpassword"))
    keystore.add("old", account, typing(SECRET, SECRET))
    found = keystore.unlock("old", typing(SECRET))
    assert found.key.hex() == "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


def test_the_passphrase_of_an_imported_file_is_asked_for_by_its_path(tmp_path: Path) -> None:
    document = ALICE.encrypt(SECRET, kdf="pbkdf2", iterations=1)
    path = private(tmp_path / "UTC--1.json", json.dumps(document))
    with pytest.raises(WrongPassphrase, match=r"the passphrase of .*UTC--1.json is wrong"):
        account_from_keystore_file(path, typing("wrong"))


def test_an_imported_file_has_to_say_whose_key_it_has(tmp_path: Path) -> None:
    document = ALICE.encrypt(SECRET, kdf="pbkdf2", iterations=1)
    del document["address"]
    path = private(tmp_path / "UTC--1.json", json.dumps(document))
    with pytest.raises(InvalidInput, match=r"UTC--1.json does not say whose key it has"):
        account_from_keystore_file(path, typing())


def test_a_key_under_two_names_is_refused(keystore: Keystore) -> None:
    with_alice(keystore)
    with pytest.raises(InvalidInput, match=f"has {ALICE.address} already, as 'alice'"):
        keystore.add("bob", ALICE, typing())
    assert keystore.names() == ("alice",)


# ------------------------------------------------------------------ references


def accounts(keystore: Keystore, *answers: str, development: bool = False) -> Accounts:
    return Accounts(keystore, development, typing(*answers))


@pytest.mark.parametrize("reference", ["alice", ALICE.address, ALICE.address.lower()])
def test_an_account_of_the_keystore_is_found(keystore: Keystore, reference: str) -> None:
    with_alice(keystore)
    assert accounts(keystore).address(reference) == ALICE.address
    assert accounts(keystore, SECRET).unlock(reference).key == ALICE.key


def test_an_account_is_decrypted_once(keystore: Keystore) -> None:
    with_alice(keystore)
    of_one_answer = accounts(keystore, SECRET)
    first = of_one_answer.unlock("alice")
    assert of_one_answer.unlock("alice") is first
    assert of_one_answer.unlock(ALICE.address) is first


def test_a_wrong_passphrase_is_not_remembered(keystore: Keystore) -> None:
    with_alice(keystore)
    learning = accounts(keystore, "wrong", SECRET)
    with pytest.raises(WrongPassphrase):
        learning.unlock("alice")
    assert learning.unlock("alice").address == ALICE.address


@pytest.mark.parametrize(
    ("reference", "number"),
    [("dev0", 0), ("dev1", 1), ("dev19", 19), (DEV1.address, 1), (DEV1.address.lower(), 1)],
)
def test_a_development_account_is_found_on_a_development_network(
    keystore: Keystore, reference: str, number: int
) -> None:
    expected = development_accounts(20)[number]
    found = accounts(keystore, development=True)
    assert found.address(reference) == expected.address
    assert found.unlock(reference).key == expected.key


@pytest.mark.parametrize("reference", ["dev20", "dev00", "dev01", "dev999"])
def test_there_are_20_development_accounts(keystore: Keystore, reference: str) -> None:
    for ask in (
        accounts(keystore, development=True).address,
        accounts(keystore, development=True).unlock,
    ):
        with pytest.raises(InvalidInput, match=f"'{reference}': give dev0 to dev19"):
            ask(reference)


def test_a_development_account_is_refused_on_another_network(keystore: Keystore) -> None:
    public = "everybody has its key: .*`energy-chain accounts new NAME`"
    with pytest.raises(InvalidInput, match=public):
        accounts(keystore).address("dev0")
    for reference in "dev0", "dev19", "dev20", DEV0.address:
        with pytest.raises(InvalidInput, match=public):
            accounts(keystore).unlock(reference)


def test_an_address_may_be_anybodys_until_it_is_to_sign(keystore: Keystore) -> None:
    with_alice(keystore)
    for development in False, True:
        found = accounts(keystore, development=development)
        assert found.address(STRANGER) == parse_address(STRANGER)
        assert found.address(DEV0.address) == DEV0.address
        with pytest.raises(UnknownAccount, match=r"for 0xABaB\w+ .*alice.*accounts import"):
            found.unlock(STRANGER)


@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        ("bob", UnknownAccount, "there is no account 'bob' in .*accounts there: none"),
        ("", InvalidInput, "cannot be the name"),
        ("Alice", InvalidInput, "cannot be the name"),
        ("0x", InvalidInput, "is not an address"),
        ("0x1234", InvalidInput, "is not an address"),
        (ALICE.address[:2] + ALICE.address[2:].swapcase(), InvalidInput, "the checksum of"),
    ],
)
def test_what_refers_to_no_account_is_refused(
    keystore: Keystore, reference: str, error: type[InvalidInput], message: str
) -> None:
    for ask in accounts(keystore).address, accounts(keystore).unlock:
        with pytest.raises(error, match=message):
            ask(reference)


def test_all_accounts_are_listed_with_the_development_accounts_last(keystore: Keystore) -> None:
    alice = with_alice(keystore)
    assert accounts(keystore).list() == (alice,)
    listed = accounts(keystore, development=True).list()
    assert listed[:2] == (alice, KnownAccount("dev0", DEV0.address, None))
    assert [known.name for known in listed[1:]] == [f"dev{number}" for number in range(20)]


def test_an_account_is_made_and_added_by_way_of_the_references(keystore: Keystore) -> None:
    mine = accounts(keystore, SECRET, SECRET, SECRET, SECRET)
    assert mine.new("carol").name == "carol"
    assert mine.add("alice", ALICE) == keystore.account("alice")


@pytest.mark.parametrize("development", [False, True])
def test_a_key_that_everybody_has_is_not_kept(keystore: Keystore, development: bool) -> None:
    for account in DEV0, development_accounts(20)[19]:
        with pytest.raises(InvalidInput, match=r"everybody has its key: .*accounts new NAME"):
            accounts(keystore, development=development).add("alice", account)
    assert keystore.list() == ()


# ------------------------------------------------------------------ secrets stay secret


def texts_of(error: BaseException) -> Iterator[str]:
    """All that an error could print, with the errors behind it even where they are hidden."""
    yield "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        yield from (str(seen), repr(seen), repr(seen.args), repr(vars(seen)))
        seen = seen.__context__ or seen.__cause__


def leaks(text: str) -> bool:
    keys = bytes.fromhex(KEY), NO_KEY_BYTES
    secrets = [SECRET, *(key.hex() for key in keys), *(map(repr, keys))]
    secrets += [str(int.from_bytes(key, "big")) for key in keys]
    return any(secret.lower().removeprefix("b") in text.lower() for secret in secrets)


class Situation:
    """A folder with Alice's account, her key and her passphrase in every place they can be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keystore = fast_keystore(folder / "keystore")
        path = with_alice(self.keystore).path
        assert path is not None
        self.path = path
        self.source = typing(SECRET, SECRET)

    def changed(self, **fields: Any) -> Keystore:
        change(self.path, **fields)
        return self.keystore

    def key_file(self, text: str) -> Path:
        return private(self.folder / "key", text)


def other_crypto(**fields: Any) -> dict[str, Any]:
    crypto: dict[str, Any] = ALICE.encrypt(SECRET, kdf="pbkdf2", iterations=1)["crypto"]
    return {**crypto, **fields}


def full_disk(situation: Situation) -> Any:
    shutil.rmtree(situation.keystore.folder)
    private(situation.keystore.folder, "")
    return situation.keystore.new("bob", situation.source)


REFUSALS: dict[str, Callable[[Situation], Any]] = {
    "wrong passphrase": lambda s: s.keystore.unlock("alice", typing(SECRET[:-1])),
    "wrong passphrase, right one in it": lambda s: s.keystore.unlock("alice", typing(SECRET + "!")),
    "no passphrase": lambda s: s.keystore.unlock("alice", PassphraseSource()),
    "passphrases differ": lambda s: s.keystore.new("bob", typing(SECRET, SECRET + "x")),
    "passphrase not text": lambda s: s.keystore.unlock("alice", typing(SECRET + "\udce9")),
    "passphrase file not text": lambda s: PassphraseSource(
        private(s.folder / "p", SECRET.encode() + b"\xff")
    ).existing("alice"),
    "other address": lambda s: s.changed(address=BOB.address).unlock("alice", s.source),
    "no address": lambda s: s.changed(address=None).unlock("alice", s.source),
    "address is the key": lambda s: s.changed(address=KEY).unlock("alice", s.source),
    "no crypto": lambda s: s.changed(crypto={}).unlock("alice", s.source),
    "bad kdf": lambda s: s.changed(crypto=other_crypto(kdf="x")).unlock("alice", s.source),
    "bad parameters": lambda s: s.changed(crypto=other_crypto(kdfparams={"c": 1})).unlock(
        "alice", s.source
    ),
    "bad iv": lambda s: s.changed(crypto=other_crypto(cipherparams={"iv": "zz"})).unlock(
        "alice", s.source
    ),
    "key out of range": lambda s: s.changed(crypto=encrypted(NO_KEY_BYTES)).unlock(
        "alice", s.source
    ),
    "key too short": lambda _: account_from_key(SecretStr(KEY[:-1])),
    "key too long": lambda _: account_from_key(SecretStr(KEY + "00")),
    "key file too long": lambda s: account_from_key_file(s.key_file(KEY + "00")),
    "key file not hexadecimal": lambda s: account_from_key_file(s.key_file(KEY + "é")),
    "key file for a keystore file": lambda s: account_from_keystore_file(
        s.key_file("0x" + KEY), s.source
    ),
    "key file in the keystore": lambda s: (private(s.path, KEY), s.keystore.list()),
    "twice": lambda s: s.keystore.add("bob", ALICE, s.source),
    "name taken": lambda s: s.keystore.add("alice", ALICE, s.source),
    "file appears meanwhile": lambda s: write_private_file(s.path, SECRET),
    "cannot be written": full_disk,
    "key for a name": lambda s: s.keystore.new(KEY, s.source),
    "key for an added name": lambda s: accounts(s.keystore).add(KEY, DEV0),
    "key for a reference": lambda s: accounts(s.keystore).unlock(KEY),
    "key for an address": lambda s: accounts(s.keystore).address("0x" + KEY),
    "key for a development account": lambda s: accounts(s.keystore).address(KEY + "dev0"),
    "key as bytes for an address": lambda _: parse_address(bytes.fromhex(KEY)),  # type: ignore[arg-type]
    "key as a number for an address": lambda _: parse_address(int(KEY, 16)),  # type: ignore[arg-type]
}


def test_the_search_for_secrets_finds_them() -> None:
    for thing in ALICE.key, bytes(ALICE.key), int(KEY, 16), NO_KEY, KEY.upper(), f"<{SECRET}>":
        assert leaks(repr(thing))
    for how in "surrogatepass", "strict":
        with pytest.raises(UnicodeDecodeError) as error:
            (SECRET.encode() + b"\xff").decode("utf-8", how)
        assert any(map(leaks, texts_of(error.value)))


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_no_refusal_tells_a_secret(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    refusal: Callable[[Situation], Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises((InvalidInput, FileExistsError)) as refused:
        refusal(Situation(tmp_path))
    assert not any(map(leaks, texts_of(refused.value)))
    assert "\n" not in str(refused.value)
    assert not leaks(caplog.text)
    assert not any(map(leaks, capfd.readouterr()))


def test_no_object_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    situation = Situation(tmp_path)
    monkeypatch.setenv(PASSPHRASE, SECRET)
    source = PassphraseSource()
    mine = Accounts(situation.keystore, True, source)
    unlocked = mine.unlock("alice")
    shown = [
        situation.keystore,
        source,
        source.existing("alice"),
        source.new("alice"),
        mine,
        unlocked,
        mine.list(),
        account_from_key(SecretStr(KEY)),
        SecretStr(KEY),
    ]
    for thing in shown:
        assert not any(map(leaks, (repr(thing), str(thing), f"{thing}")))


def test_a_secret_is_written_to_no_file(tmp_path: Path) -> None:
    situation = Situation(tmp_path)
    accounts(situation.keystore, SECRET).unlock("alice")
    situation.keystore.new("bob", situation.source)
    assert files(tmp_path) == ["alice.json", "bob.json"]
    assert not any(leaks(path.read_text()) for path in tmp_path.rglob("*.json"))
