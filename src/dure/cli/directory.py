"""`dure directory`: the root's work, whose key is whose."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from dure.client.transport import Transport
from dure.govern import root
from dure.wire.codec import decode
from dure.wire.directory import Directory, Member
from dure.wire.envelope import Envelope, fingerprint, public_text

app = typer.Typer(help="The root's work: whose key is whose.", no_args_is_help=True, add_completion=False)
console = Console(soft_wrap=True, highlight=False)
Folder = Annotated[Path, typer.Option("--dir", help="The root's folder.")]
Locked = Annotated[bool, typer.Option("--passphrase", help="The key has a passphrase; asked for.")]
Days = Annotated[int, typer.Option(min=1, max=400, help="How long the directory vouches.")]
HERE = Path("root")


@app.command()
def init(folder: Folder = HERE, passphrase: Locked = False) -> None:
    """Make the root's key; print the public half, which every hub, node and client pins."""
    lock = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True) if passphrase else None
    key = root.make(folder, lock)
    console.print(f"{key}\nfingerprint {fingerprint(key)}")


@app.command("admit-hospital")
def admit_hospital(
    name: Annotated[str, typer.Argument(help="The hospital's id.")],
    hub: Annotated[str, typer.Option(help="The hub's address.", envvar="DURE_HUB")],
    token: Annotated[str, typer.Option(help="A token of a user at the hub.", envvar="DURE_TOKEN")],
    board: Annotated[str, typer.Option(help="The board key's fingerprint, as read out.")],
    node: Annotated[str, typer.Option(help="The node key's fingerprint, as read out.")],
    folder: Folder = HERE,
    passphrase: Locked = False,
    days: Days = 90,
) -> None:
    """List a hospital that asked for it, if the fingerprints are those that its people read out."""
    transport = Transport(hub, token)
    waiting: tuple[Envelope, ...] = decode(
        tuple[Envelope, ...], transport.get("/v1/enrolments"), where="the hub's enrolments"
    )
    transport.close()
    _admit(folder, root.hospital(waiting, name, board=board, node=node), passphrase, days)


@app.command("admit-asker")
def admit_asker(
    name: Annotated[str, typer.Argument(help="The asker's id.")],
    title: Annotated[str, typer.Option("--name", help="Its full name.")],
    key: Annotated[str, typer.Option(help="Its public key: dure study key show")],
    heard: Annotated[str, typer.Option("--fingerprint", help="The key's fingerprint, as read out.")],
    affiliation: Annotated[str | None, typer.Option(help="Its group; its own id if none.")] = None,
    folder: Folder = HERE,
    passphrase: Locked = False,
    days: Days = 90,
) -> None:
    """List an asker, if the fingerprint is the one that its people read out."""
    _admit(folder, root.asker(name, title, affiliation or name, key=key, heard=heard), passphrase, days)


@app.command("admit-aggregator")
def admit_aggregator(
    file: Annotated[Path, typer.Argument(help="The file that `dure aggregator keys` wrote.", exists=True)],
    heard: Annotated[str, typer.Option("--fingerprint", help="The key's fingerprint, as read out.")],
    folder: Folder = HERE,
    passphrase: Locked = False,
    days: Days = 90,
) -> None:
    """List a second body for answers that are carried by hand, if the fingerprint is the one that its people read out."""
    envelope: Envelope = decode(Envelope, file.read_bytes(), where=str(file))
    _admit(folder, root.aggregator(envelope, heard=heard), passphrase, days)


@app.command()
def remove(name: str, folder: Folder = HERE, passphrase: Locked = False, days: Days = 90) -> None:
    """Strike a member off."""
    _sign(folder, root.remove(root.members(folder)[1], name), _key(folder, passphrase), days)


@app.command()
def sign(folder: Folder = HERE, passphrase: Locked = False, days: Days = 90) -> None:
    """Sign the members again, for longer."""
    _sign(folder, root.members(folder)[1], _key(folder, passphrase), days)


@app.command()
def push(
    hub: Annotated[str, typer.Option(help="The hub's address.", envvar="DURE_HUB")], folder: Folder = HERE
) -> None:
    """Bring the newest directory to a hub."""
    transport = Transport(hub, None)
    transport.put("/v1/directory", (folder / root.DIRECTORY).read_bytes())
    transport.close()
    console.print(f"The hub has version {root.members(folder)[0]}.")


@app.command()
def show(folder: Folder = HERE) -> None:
    """Show who is listed, with fingerprints."""
    version, listed = root.members(folder)
    table = Table(
        "id", "name", "role", "group", "epoch", "board", "node", "asker", "body", title=f"version {version}"
    )
    for member in listed:
        table.add_row(
            member.id,
            member.name,
            member.role.value,
            member.affiliation,
            str(member.epoch),
            *(
                "" if key is None else fingerprint(key)
                for key in (member.board_key, member.node_key, member.asker_key, member.body_key)
            ),
        )
    console.print(table)


def _admit(folder: Path, member: Member, passphrase: bool, days: int) -> None:
    _sign(folder, root.admit(root.members(folder)[1], member), _key(folder, passphrase), days)


def _sign(folder: Path, listed: tuple[Member, ...], key: Ed25519PrivateKey, days: int) -> Directory:
    directory = root.sign(folder, listed, key, now=datetime.now(UTC), days=days)
    console.print(
        f"Signed version {directory.version} with {len(directory.members)} members, until"
        f" {directory.expires:%Y-%m-%d}, by {fingerprint(public_text(key))}. Next: dure directory push --hub …"
    )
    return directory


def _key(folder: Path, passphrase: bool) -> Ed25519PrivateKey:
    return root.read_key(folder, typer.prompt("Passphrase", hide_input=True) if passphrase else None)
