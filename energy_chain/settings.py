"""Settings: the networks by name, from `energy-chain.toml` and the environment.

What the environment says goes before what the file says, and that before what
is built in. The file is `energy-chain.toml` in the current folder, or the one
that ENERGY_CHAIN_SETTINGS names:

    network = "pilot"

    [networks.pilot]
    url = "https://node.example"
    chain_id = 12345
    confirmations = 3
    fee_ceiling_gwei = 50

The same from the environment: ENERGY_CHAIN_NETWORK=pilot and
ENERGY_CHAIN_NETWORKS__PILOT__URL=https://node.example.
"""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError

from energy_chain.chain.networks import BUILT_IN, Network, network_at, without_secrets
from energy_chain.errors import InvalidInput

FILE = "energy-chain.toml"
FILE_VARIABLE = "ENERGY_CHAIN_SETTINGS"
_BUILT_IN = {
    "networks": {
        network.name: {
            field.name: getattr(network, field.name)
            for field in fields(network)
            if field.name != "name"
        }
        for network in BUILT_IN
    }
}


# What a network of a URL is called, so that its name leads to it again.
_HOST_AND_PORT = re.compile(r"[\w.-]+:[0-9]{1,5}", re.ASCII)


class Settings(BaseSettings):
    """What a user has set.

    Attributes:
        network: the network to use where none is asked for; None leaves it to the command.
        networks: the networks by name.
    """

    model_config = SettingsConfigDict(
        env_prefix="ENERGY_CHAIN_",
        env_nested_delimiter="__",
        frozen=True,
        hide_input_in_errors=True,
        extra="forbid",
    )

    network: str | None = None
    networks: dict[str, Network]

    @field_validator("networks", mode="before")
    @classmethod
    def _named(cls, networks: Any) -> Any:
        if not isinstance(networks, dict):
            return networks
        return {
            name: {**values, "name": name} if isinstance(values, dict) else values
            for name, values in networks.items()
        }

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, then the file, then what is built in."""
        return env_settings, _File(settings_cls), InitSettingsSource(settings_cls, _BUILT_IN)

    def network_of(self, name_or_url: str) -> Network:
        """The network of a name or of an http(s) URL.

        Raises:
            InvalidInput: it is neither.
        """
        if name_or_url in self.networks:
            return self.networks[name_or_url]
        if "://" in name_or_url:
            return network_at(name_or_url)
        if _HOST_AND_PORT.fullmatch(name_or_url):
            return network_at(f"http://{name_or_url}")
        raise InvalidInput(
            f"network {without_secrets(name_or_url)!r} is unknown: give one of "
            f"{', '.join(self.networks)}, the URL of a node, or describe it in {FILE}"
        )


class _File(TomlConfigSettingsSource):
    """The settings file, whose relative paths are relative to it."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        self.path = settings_file()
        super().__init__(settings_cls, self.path)

    def __call__(self) -> dict[str, Any]:
        values = super().__call__()
        networks = values.get("networks")
        for network in networks.values() if isinstance(networks, dict) else ():
            if isinstance(network, dict) and isinstance(network.get("keystore"), str):
                network["keystore"] = self.path.parent / Path(network["keystore"]).expanduser()
        return values


def settings_file() -> Path:
    """The settings file, which need not exist unless the environment names it.

    Raises:
        InvalidInput: the environment names a file that is not there.
    """
    named = os.environ.get(FILE_VARIABLE)
    if named and not Path(named).is_file():
        raise InvalidInput(
            f"there is no settings file {named}: correct {FILE_VARIABLE}, or unset it to use {FILE}"
        )
    return Path(named or FILE)


def load_settings() -> Settings:
    """The settings of the file and the environment.

    Raises:
        InvalidInput: a value cannot be; the message names it without showing what may be secret.
    """
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        raise InvalidInput(
            "settings: "
            + "; ".join(
                f"{'.'.join(map(str, problem['loc']))}: {_said(problem)}"
                for problem in error.errors(include_url=False, include_context=False)
            )
            + f" (in {settings_file()} or the environment)"
        ) from None
    except SettingsError as error:
        raise InvalidInput(f"settings in the environment: {error}") from None
    except InvalidInput:
        raise
    except OSError as error:
        raise InvalidInput(
            f"{settings_file()} cannot be read ({error.strerror}): correct that"
        ) from None
    except ValueError as error:  # the file is no TOML
        raise InvalidInput(f"{settings_file()}: {error}") from None


def _said(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return f"is no setting: give one of {', '.join(Settings.model_fields)}"
    known = [field.name for field in fields(Network) if field.name != "name"]
    if problem["type"] == "unexpected_keyword_argument":
        return f"is no setting of a network: give one of {', '.join(known)}"
    if problem["type"] == "dataclass_type":
        return f"describes no network: give a table of {', '.join(known)}"
    said = str(problem["msg"].removeprefix("Value error, "))
    given, what = problem["input"], problem["loc"][-1]
    # A URL may stand anywhere but here, and hold a password or an access key.
    is_shown = what in {"network", *known} - {"url"} and isinstance(given, str | int | float)
    return f"{said}, not {given!r}" if is_shown and problem["type"] != "value_error" else said
