"""`dure hub`: make, serve and look after a hub."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dure.hub import server, settings
from dure.hub.actions import accounts, enrolments, log
from dure.hub.actions import status as status_actions
from dure.hub.actions.accounts import UserRole
from dure.wire.codec import decode
from dure.wire.merkle import Checkpoint

FACTORY = "dure.portal.app", "create"
"""What `serve` serves: a module and a function from settings to an application."""

app = typer.Typer(no_args_is_help=True, help="The relay between askers and hospitals.")
user_app = typer.Typer(no_args_is_help=True, help="Who may sign in.")
organisation_app = typer.Typer(no_args_is_help=True, help="Whose users may sign in.")
app.add_typer(user_app, name="user")
app.add_typer(organisation_app, name="org")
console = Console(soft_wrap=True, highlight=False)

Folder = Annotated[Path, typer.Option(help="The hub's folder.", envvar="DURE_HUB_FOLDER")]
HERE = Path("hub")


@app.command()
def init(
    folder: Folder = HERE,
    database: Annotated[
        str | None, typer.Option(help="URL of the database; an SQLite file in the folder if not given.")
    ] = None,
    root_key: Annotated[str | None, typer.Option(help="The root's public key, to be pinned.")] = None,
) -> None:
    """Make a hub: its folder, its settings, its empty database."""
    path = server.make(folder, database=database, root_key=root_key)
    console.print(f"A hub is ready: {escape(str(path))}. Next: dure hub org add, dure hub user add")


@app.command()
def serve(
    folder: Folder = HERE,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8420,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="TLS private key (PEM).")] = None,
    proxy: Annotated[str | None, typer.Option(help="Address of the proxy in front, if there is one.")] = None,
) -> None:
    """Serve the hub until a signal ends it."""
    module, function = FACTORY
    create = getattr(import_module(module), function)
    server.serve(
        create(settings.load(folder)), host=host, port=port, certificate=certificate, key=key, proxy=proxy
    )


@app.command("enrol-code")
def enrol_code(
    hospital: Annotated[str, typer.Argument(help="The hospital's id.")],
    folder: Folder = HERE,
    hours: Annotated[int, typer.Option(help="How long the code lasts.", min=1, max=720)] = 72,
) -> None:
    """Make a one-time code with which a hospital's node may ask to be listed."""
    with server.opened(settings.load(folder)) as hub:
        print(hub.writes(enrolments.make_code, hospital=hospital, hours=hours, now=hub.clock()))  # noqa: T201


@organisation_app.command("add")
def add_organisation(
    name: Annotated[str, typer.Argument(help="Its id, as in the key directory.")],
    title: Annotated[str, typer.Argument(help="Its name.")],
    folder: Folder = HERE,
) -> None:
    """Add an organisation."""
    with server.opened(settings.load(folder)) as hub:
        hub.writes(accounts.add_organisation, name=name, title=title, now=hub.clock())


@organisation_app.command("list")
def list_organisations(folder: Folder = HERE) -> None:
    """List the organisations."""
    with server.opened(settings.load(folder)) as hub:
        _table(("id", "name"), hub.reads(accounts.list_organisations))


@user_app.command("add")
def add_user(
    email: str,
    organisation: Annotated[str, typer.Option(help="The id of its organisation.")],
    role: Annotated[UserRole, typer.Option(help="What it may do.")] = UserRole.ASKER,
    password: Annotated[
        str,
        typer.Option(
            prompt=True,
            confirmation_prompt=True,
            hide_input=True,
            envvar="DURE_NEW_PASSWORD",
            help="12 or more.",
        ),
    ] = "",
    folder: Folder = HERE,
) -> None:
    """Add a user; the password is asked for, or read from DURE_NEW_PASSWORD."""
    with server.opened(settings.load(folder)) as hub:
        password_hash = accounts.hash_password(password)
        hub.writes(
            accounts.add_user,
            email=email,
            organisation=organisation,
            role=role,
            password_hash=password_hash,
            now=hub.clock(),
        )


@user_app.command("list")
def list_users(folder: Folder = HERE) -> None:
    """List the users."""
    with server.opened(settings.load(folder)) as hub:
        found = hub.reads(accounts.list_users)
    rows = [
        (person.email, person.organisation, person.role.value, "yes" if active else "closed")
        for person, active in found
    ]
    _table(("e-mail", "organisation", "role", "may sign in"), rows)


@user_app.command("close")
def close_user(email: str, folder: Folder = HERE) -> None:
    """Let a user sign in no longer, and end its tokens."""
    with server.opened(settings.load(folder)) as hub:
        hub.writes(accounts.close_user, email=email, now=hub.clock())


@app.command("verify-log")
def verify_log(
    folder: Folder = HERE,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint that was kept elsewhere, which the log must continue.")
    ] = None,
) -> None:
    """Recompute the audit log from its entries; print its checkpoint, to be kept elsewhere."""
    known = None if checkpoint is None else decode(Checkpoint, checkpoint.read_bytes(), where=str(checkpoint))
    with server.opened(settings.load(folder)) as hub:
        found = hub.reads(log.verify, known)
    print(f'{{"size":{found.size},"root":"{found.root}"}}')  # noqa: T201


@app.command()
def status(folder: Folder = HERE) -> None:
    """Show the hub at a glance."""
    with server.opened(settings.load(folder)) as hub:
        now = hub.reads(status_actions.status)
    directory = "none yet" if now.directory is None else f"version {now.directory.version}"
    rows = [
        ("directory", directory),
        ("pending enrolments", str(now.pending_enrolments)),
        ("users", str(now.users)),
        *((f"studies {state}", str(number)) for state, number in sorted(now.studies.items())),
        ("runs under way", str(now.running)),
        *(
            (f"node of {name}", "never seen" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC")
            for name, at in now.seen.items()
        ),
        ("audit log", f"{now.checkpoint.size} entries, root {now.checkpoint.root}"),
    ]
    _table(("what", "now"), rows)


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
