"""`dure node`: the hospital's program."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dure.node import keys, operate
from dure.node.config import NodeConfig
from dure.node.place import opened
from dure.wire.messages import Provenance
from dure.wire.rules import Noise, Rules

app = typer.Typer(help="The hospital's program.", no_args_is_help=True, add_completion=False)
Dir = Annotated[Path, typer.Option("--dir", help="The node's folder.")]
Study = Annotated[str, typer.Argument(help="The request, as `dure node requests` names it.")]
BoardKey = Annotated[Path | None, typer.Option(help="The board's private key, if it isn't in the folder.")]
LeastPeople = Annotated[
    int | None, typer.Option(min=1, help="k: the fewest people that a number may rest on.")
]
RoundTo = Annotated[
    int | None, typer.Option(min=1, help="by_hospital: counts are rounded to multiples of it.")
]
LeastHospitals = Annotated[
    int | None, typer.Option(min=1, help="total: the fewest hospitals outside the asker's group.")
]

Epsilon = Annotated[
    float | None, typer.Option(help="total: the answer carries noise, and tells at most this.")
]
Delta = Annotated[float, typer.Option(help="with --epsilon: the chance that it tells more.")]
Colluders = Annotated[int, typer.Option(min=0, help="with --epsilon: hospitals that may tell their noise.")]


@app.command()
def init(
    *,
    hub: Annotated[str, typer.Option(help="The hub's address, such as https://hub.example.org")],
    code: Annotated[str, typer.Option(help="The one-time enrolment code.")],
    root: Annotated[str, typer.Option(help="The root's public key, or a file that holds it.")],
    hospital: Annotated[str, typer.Option("--id", help="Short name: small letters, digits, hyphens.")],
    name: Annotated[str, typer.Option(help="The hospital's full name.")],
    affiliation: Annotated[str, typer.Option(help="The group that it belongs to; its own id if none.")],
    cdm: Annotated[
        str, typer.Option(help="The file made by `dure cdm load` or `dure synth`, or a server's location.")
    ],
    folder: Dir,
    declare: Annotated[
        Provenance, typer.Option(help="What the board declares the data to be.")
    ] = Provenance.REAL,
    least_people: LeastPeople = 11,
    round_to: RoundTo = 10,
    least_hospitals: LeastHospitals = 3,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Lock the board key; asked for.")] = False,
    proxy: Annotated[str | None, typer.Option(help="An HTTP proxy, such as http://proxy:3128")] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="PEM certificates to trust instead of the usual.")
    ] = None,
    insecure_http: Annotated[
        bool, typer.Option("--insecure-http", help="Allow http:// to another machine.")
    ] = False,
) -> None:
    """Make the node's keys and folder, and ask the hub to be listed."""
    from dure.engines import is_file

    config = NodeConfig(
        hub=hub,
        hospital=hospital,
        name=name,
        affiliation=affiliation,
        root_key=root,
        board_key="",
        cdm=str(Path(cdm.removeprefix("duckdb:")).absolute()) if is_file(cdm) else cdm,
        provenance=declare,
        rules=Rules(
            least_people=least_people or 1, round_to=round_to or 1, least_hospitals=least_hospitals or 1
        ),
        proxy=proxy,
        ca_file=None if ca_file is None else str(ca_file.absolute()),
        insecure_http=insecure_http,
    )
    lock = (
        typer.prompt("Passphrase of the board key", hide_input=True, confirmation_prompt=True)
        if passphrase
        else None
    )
    operate.init(folder, config, code=code, passphrase=lock, say=typer.echo)


@app.command()
def run(
    folder: Dir,
    once: Annotated[bool, typer.Option("--once", help="One poll, then end.")] = False,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is left to do.")] = False,
) -> None:
    """Work: poll the hub, answer what the board has permitted. Ends with a signal."""
    with opened(folder) as place:
        operate.run(place, once=once, until_idle=until_idle)


@app.command()
def status(folder: Dir) -> None:
    """Say who this node is, whom it trusts, what waits, and what it could not send."""
    with opened(folder) as place:
        for title, value in operate.status(place, now=datetime.now(UTC)):
            typer.echo(f"{title:<12} {value}")


@app.command()
def requests(
    folder: Dir,
    everything: Annotated[bool, typer.Option("--all", help="Decided and closed ones too.")] = False,
) -> None:
    """List the studies that wait for the board."""
    with opened(folder) as place:
        operate.requests(place, Console(), everything=everything, now=datetime.now(UTC))


@app.command()
def show(
    study: Study, folder: Dir, epsilon: Epsilon = None, delta: Delta = 1e-6, colluders: Colluders = 0
) -> None:
    """Say in plain words what a study asks, what for, and everything that would leave; with --epsilon, what noise would mean."""
    with opened(folder) as place:
        noise = None if epsilon is None else Noise(epsilon=epsilon, delta=delta, colluders=colluders)
        rules = operate.stricter(place.config.rules, None, None, None, noise)
        operate.show(place, study, Console(), rules=rules, now=datetime.now(UTC))


@app.command()
def sign(
    study: Study,
    folder: Dir,
    consent_by_hospital: Annotated[
        bool, typer.Option("--consent-by-hospital", help="Yes, this hospital's own numbers may be shown.")
    ] = False,
    least_people: LeastPeople = None,
    round_to: RoundTo = None,
    least_hospitals: LeastHospitals = None,
    epsilon: Epsilon = None,
    delta: Delta = 1e-6,
    colluders: Colluders = 0,
    board_key: BoardKey = None,
    prepare: Annotated[
        Path | None, typer.Option(help="Write the permit here, to be sealed elsewhere.")
    ] = None,
    signed: Annotated[Path | None, typer.Option(help="Take the permit that was sealed elsewhere.")] = None,
) -> None:
    """Sign the permit of a study with the board key."""
    with opened(folder) as place:
        operate.sign(
            place,
            study,
            rules=operate.stricter(
                place.config.rules,
                least_people,
                round_to,
                least_hospitals,
                None if epsilon is None else Noise(epsilon=epsilon, delta=delta, colluders=colluders),
            ),
            consent_by_hospital=consent_by_hospital,
            key=lambda: keys.ask(board_key or place.board_key, _ask_passphrase),
            prepare=prepare,
            signed=signed,
            now=datetime.now(UTC),
            say=typer.echo,
        )


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file that was brought: a request, or what a run asks.")],
    folder: Dir,
) -> None:
    """Where no wire leads out: take a request, or answer what a run asks, from a file that was carried here."""
    with opened(folder) as place:
        operate.take(place, file, say=typer.echo)


@app.command()
def export(
    study: Study,
    folder: Dir,
    out: Annotated[Path, typer.Option(help="The file to write, for the asker.")],
) -> None:
    """Write all that this hospital has said of a study into a file to be carried."""
    with opened(folder) as place:
        operate.give(place, study, out, now=datetime.now(UTC), say=typer.echo)


@app.command()
def decline(
    study: Study,
    folder: Dir,
    reason: Annotated[str, typer.Option(help="What the asker is shown.")],
    board_key: BoardKey = None,
) -> None:
    """Say no to a study, with the reason that its asker is shown."""
    with opened(folder) as place:
        key = keys.ask(board_key or place.board_key, _ask_passphrase)
        operate.decline(place, study, key, reason=reason, now=datetime.now(UTC), say=typer.echo)


@app.command()
def seal(
    prepared: Annotated[Path, typer.Argument(help="The file that `dure node sign --prepare` wrote.")],
    board_key: Annotated[Path, typer.Option(help="The board's private key.")],
    out: Annotated[Path, typer.Option(help="The signed permit to write.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask: the study was read before.")] = False,
) -> None:
    """On the machine that keeps the board key: show a prepared permit and sign it. Needs no node and no network."""
    operate.seal(
        prepared,
        key=lambda: keys.ask(board_key, _ask_passphrase),
        out=out,
        agreed=lambda: yes or typer.confirm("Sign this permit?"),
        say=typer.echo,
    )


@app.command()
def declare(folder: Dir, board_key: BoardKey = None) -> None:
    """After a new load: declare the dataset's new version with the board key. Older permits end with it."""
    with opened(folder) as place:
        key = keys.ask(board_key or place.board_key, _ask_passphrase)
        operate.declare(place, key, now=datetime.now(UTC), say=typer.echo)


@app.command()
def console(
    folder: Dir, port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1 only.")] = 8470
) -> None:
    """Serve the board's pages to this machine's browser, and to nobody else."""
    from dure.console.app import serve

    serve(folder, port=port)


def _ask_passphrase() -> str:
    return str(typer.prompt("Passphrase of the board key", hide_input=True))
