"""`energy-chain networks` and `energy-chain ganache`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from energy_chain.cli import options
from energy_chain.cli.exit_codes import CHAIN_FAILED
from energy_chain.cli.printing import output, print_json, table
from energy_chain.cli.session import AGGREGATOR, OPERATOR, OWNER

if TYPE_CHECKING:
    from energy_chain.chain.ganache import Ganache, GanacheSettings
    from energy_chain.chain.networks import Network

MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("-", "yellow")}

networks = typer.Typer(no_args_is_help=True, help="Look at the networks that are known.")


@networks.command("list")
def list_networks(as_json: options.JsonOption = False) -> None:
    """List the networks of the settings.

    They are built in, in energy-chain.toml, or in the environment.

    Examples:

        energy-chain networks list

        energy-chain networks list --json
    """
    from energy_chain.settings import load_settings

    known = load_settings().networks.values()
    if as_json:
        print_json([_as_json(network) for network in known])
        return
    listed = table("network", "node", "chain id", "EVM", "confirmations", "fee ceiling", "keys")
    for network in known:
        listed.add_row(
            network.name,
            _node(network) or "in this process",
            str(network.chain_id or "any"),
            network.evm_version,
            str(network.confirmations),
            "-" if network.fee_ceiling_gwei is None else f"{network.fee_ceiling_gwei:f} gwei",
            "development, keystore" if network.is_development else "keystore",
        )
    output().print(listed)


@networks.command()
def check(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=options.complete_network, help="Name of a network, or the URL of a node."
        ),
    ],
    contract: options.ContractOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Look a network over: can a market live there, and does ours?

    Looks whether the node answers, at its chain id, client and latest block,
    whether its EVM runs our code, and whether the market there is ours. Ends
    with 3 when something is wrong.

    Examples:

        energy-chain networks check ganache

        energy-chain networks check http://127.0.0.1:8545 --json
    """
    from energy_chain.chain.check import check_network
    from energy_chain.settings import load_settings

    network = load_settings().network_of(name)
    found = []
    for finding in check_network(network, contract):
        found.append(finding)
        if not as_json:
            mark, style = MARKS[finding.good]
            output().print(mark, style=style, end=" ")
            output().print(f"{finding.what}: {finding.said}")
    good = all(finding.good is not False for finding in found)
    if as_json:
        print_json(
            {
                "network": network.name,
                "good": good,
                "findings": [
                    {"what": finding.what, "good": finding.good, "said": finding.said}
                    for finding in found
                ],
            }
        )
    if not good:
        raise typer.Exit(CHAIN_FAILED)


def ganache(
    port: Annotated[
        int | None, typer.Option(help="Where it listens; by default that of network ganache.")
    ] = None,
    database: Annotated[
        Path | None,
        typer.Option(
            help="Folder of its chain, which goes on where it ended; one is kept for you."
        ),
    ] = None,
    block_time: Annotated[
        float, typer.Option(min=0, help="Seconds between blocks; 0 makes one for each transaction.")
    ] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Ganache's own log.")] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Install Ganache and end, without starting it.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Start Ganache, a development chain on this machine, until Ctrl-C.

    Its program is installed from npm at the first use. Rules, chain id and
    accounts are those of network ganache; the chain survives a restart.

    Examples:

        energy-chain ganache

        energy-chain ganache --port 8546 --database ./chain --verbose
    """
    from energy_chain.chain import ganache as program
    from energy_chain.settings import load_settings

    path = program.install()
    if install:
        print_json({"program": str(path)}) if as_json else output().print(
            f"Ganache {program.VERSION} is installed: {path}"
        )
        return
    network = load_settings().network_of("ganache")
    settings = program.GanacheSettings(
        port=port or urlsplit(network.url).port or 80,
        chain_id=network.chain_id or 1337,
        hardfork=network.evm_version,
        database=database,
        block_time=block_time,
    )
    from energy_chain.cli.daemon import until_stopped

    with until_stopped() as stop, program.Ganache.start(settings, verbose) as running:
        _show_ganache(settings, running, network.url, as_json)
        running.serve(stop)
    if not as_json:
        output().print("Ganache has stopped; its chain is kept.")


def _show_ganache(
    settings: GanacheSettings, running: Ganache, network_url: str, as_json: bool
) -> None:
    from energy_chain.chain.accounts import development_accounts
    from energy_chain.chain.ganache import BALANCE

    roles = {OWNER: "owner", AGGREGATOR: "aggregator", OPERATOR: "metering operator"}
    accounts = {
        f"dev{number}": account.address
        for number, account in enumerate(development_accounts(settings.accounts))
    }
    if as_json:
        print_json(
            {
                "url": running.url,
                "pid": running.pid,
                "chain_id": settings.chain_id,
                "hardfork": settings.hardfork,
                "database": str(settings.database_folder),
                "accounts": accounts,
            },
            line=True,
        )
        return
    listed = table("account", "address", "by default the market's")
    for name, address in accounts.items():
        listed.add_row(name, address, roles.get(name, ""))
    output().print(listed)
    output().print(
        f"{BALANCE:,} ether each; everybody has their keys.\n"
        f"Ganache on {running.url}, chain {settings.chain_id}, {settings.hardfork} rules, "
        f"kept in {settings.database_folder}."
    )
    if running.url != network_url.rstrip("/"):
        output().print(
            "Other commands find it with\n"
            f"  export ENERGY_CHAIN_NETWORKS__GANACHE__URL={running.url}"
        )
    output().print("Ctrl-C stops it.")


def _node(network: Network) -> str:
    # A URL may hold a password or an access key.
    parts = urlsplit(network.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if network.url else ""


def _as_json(network: Network) -> dict[str, object]:
    ceiling = network.fee_ceiling_gwei
    return {
        "name": network.name,
        "node": _node(network),
        "chain_id": network.chain_id,
        "evm_version": network.evm_version,
        "confirmations": network.confirmations,
        "fee_ceiling_gwei": None if ceiling is None else float(ceiling),
        "development": network.is_development,
        "keystore": str(network.keystore) if network.keystore else None,
        "contract": network.contract,
    }
