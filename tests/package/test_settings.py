"""Settings: what is built in, what the file says, what the environment says; and what cannot be."""

from __future__ import annotations

import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from energy_chain.chain.networks import ANVIL, BUILT_IN, EMBEDDED, GANACHE, Network
from energy_chain.errors import InvalidInput
from energy_chain.settings import FILE, FILE_VARIABLE, load_settings, settings_file

# Stands nowhere but in tests: finding it in a text is finding a leak.
SECRET = "canary4711"
SECRET_URL = f"https://user:{SECRET}@node.example/v3/{SECRET}?key={SECRET}"
PILOT = """
network = "pilot"

[networks.pilot]
url = "https://node.example"
chain_id = 12345
confirmations = 3
fee_ceiling_gwei = 0.1
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes the settings file of the current folder."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / FILE
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# ------------------------------------------------------------------ where settings come from


def test_without_settings_the_built_in_networks_are_known() -> None:
    settings = load_settings()
    assert settings.network is None
    assert tuple(settings.networks.values()) == BUILT_IN
    assert list(settings.networks) == ["embedded", "ganache", "anvil"]


def test_a_file_in_the_current_folder_describes_networks(write: Any) -> None:
    write(PILOT)
    settings = load_settings()
    assert settings.network == "pilot"
    pilot = settings.networks["pilot"]
    assert pilot == Network(
        name="pilot",
        url="https://node.example",
        chain_id=12345,
        confirmations=3,
        fee_ceiling_gwei=Decimal("0.1"),
    )
    assert pilot.url == "https://node.example"
    assert settings.networks["ganache"] == GANACHE


def test_a_file_elsewhere_is_used_where_the_environment_names_it(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(PILOT)
    other = tmp_path / "other.toml"
    other.write_text('network = "anvil"')
    monkeypatch.setenv(FILE_VARIABLE, str(other))
    assert settings_file() == other
    settings = load_settings()
    assert settings.network == "anvil"
    assert "pilot" not in settings.networks


def test_a_part_of_a_built_in_network_is_changed_and_the_rest_kept(write: Any) -> None:
    write('[networks.ganache]\nurl = "http://127.0.0.1:9999"')
    found = load_settings().networks["ganache"]
    assert (found.url, found.chain_id) == ("http://127.0.0.1:9999", GANACHE.chain_id)
    assert found.development
    # And what is built in stays what it was.
    assert GANACHE.url == "http://127.0.0.1:7545"


def test_the_environment_goes_before_the_file_and_keeps_the_rest_of_it(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(PILOT)
    monkeypatch.setenv("ENERGY_CHAIN_NETWORK", "ganache")
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__CONFIRMATIONS", "7")
    settings = load_settings()
    assert settings.network == "ganache"
    pilot = settings.networks["pilot"]
    assert (pilot.confirmations, pilot.chain_id, pilot.url) == (7, 12345, "https://node.example")


def test_all_three_are_merged_setting_by_setting(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[networks.ganache]\nurl = "http://in.file"\nconfirmations = 1')
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__URL", "http://in.environment")
    found = load_settings().networks["ganache"]
    assert found.url == "http://in.environment"
    assert (found.confirmations, found.chain_id) == (1, 1337)


def test_a_network_can_be_described_by_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "URL": "https://node.example",
        "CHAIN_ID": "77",
        "FEE_CEILING_GWEI": "2.5",
        "SIMULATE": "false",
        "KEYSTORE": "/keys",
    }.items():
        monkeypatch.setenv(f"ENERGY_CHAIN_NETWORKS__PILOT__{name}", value)
    found = load_settings().networks["pilot"]
    assert found.url == "https://node.example"
    assert found == Network(
        name="pilot",
        url=found.url,
        chain_id=77,
        fee_ceiling_gwei=Decimal("2.5"),
        simulate=False,
        keystore=Path("/keys"),
    )


def test_networks_can_be_described_in_json_by_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS", '{"pilot": {"url": "http://node.example"}}')
    settings = load_settings()
    assert settings.networks["pilot"].url == "http://node.example"
    assert settings.networks["ganache"] == GANACHE


def test_variables_that_are_no_settings_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_CACHE", "/somewhere")
    monkeypatch.setenv("ENERGY_CHAIN_PASSPHRASE", SECRET)
    assert tuple(load_settings().networks.values()) == BUILT_IN


def test_the_path_of_a_keystore_is_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "own.toml").write_text(
        "[networks.ganache]\nkeystore = 'keys'\n[networks.anvil]\nkeystore = '/absolute'\n"
        "[networks.embedded]\nkeystore = '~/mine'"
    )
    monkeypatch.setenv(FILE_VARIABLE, str(folder / "own.toml"))
    networks = load_settings().networks
    assert networks["ganache"].keystore == folder / "keys"
    assert networks["anvil"].keystore == Path("/absolute")
    assert networks["embedded"].keystore == Path.home() / "mine"


# ------------------------------------------------------------------ finding a network


def test_a_network_is_found_by_its_name_or_as_the_url_of_a_node(write: Any) -> None:
    write(PILOT)
    settings = load_settings()
    assert settings.network_of("pilot").chain_id == 12345
    assert settings.network_of("anvil") == ANVIL
    other = settings.network_of("http://node.example:8545")
    assert settings.network_of(other.name) == other
    assert (other.name, other.chain_id) == ("node.example:8545", None)
    assert other.url == "http://node.example:8545"


@pytest.mark.parametrize("name", ["mainnet", "", "Ganache", "127.0.0.1:", "a b:8545"])
def test_an_unknown_network_is_refused_with_those_that_are_known(write: Any, name: str) -> None:
    write(PILOT)
    with pytest.raises(
        InvalidInput,
        match=f"network '{name}' is unknown: give one of embedded, ganache, anvil, pilot, ",
    ) as error:
        load_settings().network_of(name)
    assert f"describe it in {FILE}" in str(error.value)


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.network = "ganache"
    with pytest.raises(AttributeError):
        settings.networks["ganache"].url = "http://node.example"  # type: ignore[misc]
    assert settings.network is None
    assert settings.networks["ganache"] == GANACHE


# ------------------------------------------------------------------ what cannot be


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("netwrok = 'pilot'", r"netwrok: is no setting: give one of network, networks \("),
        (
            "[networks.ganache]\nchainid = 5",
            r"networks\.ganache\.chainid: is no setting of a network: give one of url, chain_id, ",
        ),
        ("network = 5", "network: .* valid string, not 5"),
        ("networks = 5", "networks: .* valid dictionary"),
        ("[networks]\npilot = 5", r"networks\.pilot: describes no network: give a table of url, "),
        ("[networks.ganache]\nchain_id = 'x'", r"networks\.ganache\.chain_id: .*, not 'x'"),
        ("[networks.ganache]\nconfirmations = 1.5", r"confirmations: .*, not 1\.5"),
        ("[networks.ganache]\nsimulate = 'maybe'", "simulate: .*, not 'maybe'"),
        ("[networks.ganache]\nurl = 5", r"networks\.ganache\.url: .*valid string"),
        ("[networks.ganache]\nkeystore = 5", r"networks\.ganache\.keystore: .*, not 5"),
        ("[networks.ganache]\nfee_ceiling_gwei = nan", "fee_ceiling_gwei: .*, not nan"),
        ("[networks.ganache]\nfee_ceiling_gwei = -1", "fee_ceiling_gwei -1 of ganache: give more"),
        ("[networks.ganache]\nfee_ceiling_gwei = 0", "fee_ceiling_gwei 0 of ganache: give more"),
        ("[networks.ganache]\nreceipt_timeout = inf", "receipt_timeout inf of ganache: give more"),
        ("[networks.ganache]\ncall_timeout = nan", "call_timeout nan of ganache: give more than 0"),
        ("[networks.ganache]\nchain_id = 0", "chain_id 0 of ganache: give 1 or more"),
        ("[networks.ganache]\nconfirmations = -1", "confirmations -1 of ganache: give 0 or more"),
        (
            "[networks.ganache]\nevm_version = 'istanbul'",
            "evm_version 'istanbul' of ganache: give one of london, paris, shanghai",
        ),
        ("[networks.embedded]\nurl = 'http://x'", "embedded runs in this process: leave out its"),
        ("[networks.pilot]\nchain_id = 5", "network pilot has no url: give that of its node"),
        ("[networks.pilot]\nurl = 'node.example'", "the URL of network pilot is none of a node"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(write: Any, content: str, message: str) -> None:
    write(content)
    with pytest.raises(InvalidInput, match=f"^settings: .*{message}") as error:
        load_settings()
    assert str(error.value).endswith(f"(in {FILE} or the environment)")


def test_every_mistake_is_told_at_once(write: Any) -> None:
    write("[networks.ganache]\nchain_id = 'x'\nsimulate = 'maybe'")
    with pytest.raises(InvalidInput, match=r"chain_id: .*not 'x'; .*simulate: .*not 'maybe'"):
        load_settings()


@pytest.mark.parametrize("content", ["network is pilot", b"network = '\xff'", "[networks"])
def test_a_file_that_is_no_toml_is_refused(write: Any, content: str | bytes) -> None:
    write(content)
    with pytest.raises(InvalidInput, match=f"^{FILE}: "):
        load_settings()


def test_a_file_that_cannot_be_read_is_refused(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write(PILOT)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InvalidInput, match=rf"^{FILE} cannot be read \(Permission denied\)"):
        load_settings()


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_the_environment_names_has_to_be_there(
    write: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(PILOT)  # is not used instead
    monkeypatch.setenv(FILE_VARIABLE, name)
    with pytest.raises(
        InvalidInput, match=f"^there is no settings file {name}: correct {FILE_VARIABLE}"
    ):
        load_settings()


def test_a_variable_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__CONFIRMATIONS", "many")
    with pytest.raises(InvalidInput, match=r"networks\.ganache\.confirmations: .*, not 'many'"):
        load_settings()
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__CONFIRMATIONS", "2")
    assert load_settings().networks["ganache"].confirmations == 2


# ------------------------------------------------------------------ secrets stay secret


def leaks(error: BaseException) -> bool:
    """Whether an error, or one behind it that is not hidden, shows the secret."""
    return SECRET in "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize(
    "content",
    [
        f"[networks.pilot]\nurl = '{SECRET_URL.replace('https', 'htps')}'",
        f"[networks.pilot]\nurl = ['{SECRET_URL}']",
        f"[networks.pilot]\nurl = '{SECRET_URL}'\nchain_id = 'x'",
        f"[networks.pilot]\nurl = '{SECRET_URL}'\nconfirmations = -1",
        f"[networks.pilot]\nurl = '{SECRET_URL}'\naccess_key = '{SECRET}'",
        f"[networks.pilot]\nuri = '{SECRET_URL}'",
        f"[networks.embedded]\nurl = '{SECRET_URL}'",
        f"[networks]\npilot = '{SECRET_URL}'",
        f"[networks]\nkeystore = '{SECRET_URL}'",
        f"networks = '{SECRET_URL}'",
        f"network = ['{SECRET_URL}']",
        f"url = '{SECRET_URL}'",
        f"access_key = '{SECRET}'",
        f"url = '{SECRET_URL}",
    ],
)
def test_no_refusal_of_a_file_shows_a_password_or_a_key(write: Any, content: str) -> None:
    write(content)
    with pytest.raises(InvalidInput) as error:
        load_settings()
    assert not leaks(error.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ENERGY_CHAIN_NETWORKS", SECRET_URL),
        ("ENERGY_CHAIN_NETWORKS", f'{{"pilot": "{SECRET_URL}"}}'),
        ("ENERGY_CHAIN_NETWORKS", f'{{"pilot": {{"url": "{SECRET_URL}"'),
        ("ENERGY_CHAIN_NETWORKS__PILOT", SECRET_URL),
        ("ENERGY_CHAIN_NETWORKS__PILOT__UR", SECRET_URL),
        ("ENERGY_CHAIN_NETWORKS__PILOT__URL", SECRET_URL.replace("https", "ws")),
        ("ENERGY_CHAIN_NETWORKS__PILOT__URL__X", SECRET_URL),
    ],
)
def test_no_refusal_of_the_environment_shows_a_password_or_a_key(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput) as error:
        load_settings()
    assert not leaks(error.value)


@pytest.mark.parametrize(
    "given",
    [
        SECRET_URL.replace("https", "wss"),
        SECRET_URL.removeprefix("https://"),
        f"node.example/v3/{SECRET}",
        f"wss://node.example?key={SECRET}",
        f"node.example#{SECRET}",
    ],
)
def test_no_refusal_of_a_network_shows_a_password_or_a_key(given: str) -> None:
    with pytest.raises(InvalidInput, match=r"node\.example") as error:
        load_settings().network_of(given)
    assert not leaks(error.value)


def test_no_repr_of_settings_shows_a_password_or_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__URL", SECRET_URL)
    settings = load_settings()
    assert settings.networks["pilot"].url == SECRET_URL
    assert SECRET not in f"{settings!r} {settings} {settings.networks}"
    assert SECRET not in f"{settings.network_of(SECRET_URL)!r}"


def test_the_search_for_the_secret_finds_it() -> None:
    with pytest.raises(InvalidInput) as error:
        raise InvalidInput(SECRET_URL)
    assert leaks(error.value)


# ------------------------------------------------------------------ networks


@pytest.mark.parametrize(
    ("evm_version", "runs"),
    [("london", False), ("paris", False), ("shanghai", True), ("cancun", True), ("osaka", True)],
)
def test_the_contract_needs_the_rules_it_is_compiled_for(evm_version: str, runs: bool) -> None:
    network = Network(name="x", url="http://node.example", evm_version=evm_version)
    assert network.runs_our_bytecode is runs


@pytest.mark.parametrize(
    ("development", "chain_id", "known"),
    [
        (True, 1, True),
        (False, 1337, False),
        (True, None, True),
        (None, 1337, True),
        (None, 31337, True),
        (None, 1, False),
        (None, None, None),
    ],
)
def test_a_network_is_for_development_as_it_says_or_by_its_chain_id(
    development: bool | None, chain_id: int | None, known: bool | None
) -> None:
    network = Network(
        name="x", url="http://node.example", chain_id=chain_id, development=development
    )
    assert network.is_development is known


def test_a_ceiling_that_is_no_number_is_refused_by_a_network() -> None:
    for ceiling in Decimal("NaN"), Decimal("Infinity"), Decimal("-0.5"):
        with pytest.raises(InvalidInput, match=r"fee_ceiling_gwei \S+ of x: give more than 0"):
            Network(name="x", url="http://node.example", fee_ceiling_gwei=ceiling)


def test_every_built_in_network_is_for_development_and_runs_the_contract() -> None:
    assert BUILT_IN == (EMBEDDED, GANACHE, ANVIL)
    for network in BUILT_IN:
        assert network.is_development
        assert network.runs_our_bytecode
