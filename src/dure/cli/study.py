"""`dure study`: check, submit, watch and read studies."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dure.cli import study_carry
from dure.client import connect, covariate_list, keys, login, study_file, terminal
from dure.client.connection import sign_in
from dure.client.transport import Transport
from dure.cohort import parse, plan
from dure.engines import open_engine
from dure.features.analyses import Windows
from dure.features.listing import DEFAULT, listed
from dure.wire.envelope import fingerprint, public_text
from dure.wire.rules import Noise

app = typer.Typer(help="Check, submit, watch and read studies.", no_args_is_help=True)
key_app = typer.Typer(
    help="The asker's key, which signs studies and never leaves this machine.", no_args_is_help=True
)
app.add_typer(key_app, name="key")
app.add_typer(study_carry.app, name="carry")

Hub = Annotated[str | None, typer.Option(help="The hub's address. [env: DURE_HUB]")]
Token = Annotated[str | None, typer.Option(help="The token of a sign-in. [env: DURE_TOKEN]")]
Root = Annotated[str | None, typer.Option(help="The root's public key, pinned. [env: DURE_ROOT]")]
Key = Annotated[Path | None, typer.Option(help="The asker's key file; the user's own if not given.")]
Digest = Annotated[str, typer.Argument(help="The study's digest, as `submit` printed it.")]
Language = Annotated[str, typer.Option(help="en or ko.")]


@key_app.command("new")
def key_new(path: Annotated[Path | None, typer.Option(help="Where to keep it.")] = None) -> None:
    """Make the asker's key, and print what the root needs to list it."""
    _show_key(public_text(keys.new(path)), keys.key_path(path))


@key_app.command("show")
def key_show(path: Annotated[Path | None, typer.Option(help="Where it is kept.")] = None) -> None:
    """Print the public key and its fingerprint."""
    _show_key(public_text(keys.read(path)), keys.key_path(path))


def _show_key(public: str, place: Path) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"private key: {place} (keep it; it is not sent)", markup=False)
    console.print(f"public key:  {public}", markup=False)
    console.print(f"fingerprint: {fingerprint(public)} (read it to the root by telephone)", markup=False)


@app.command("login")
def log_in(
    hub: Annotated[str, typer.Option(help="The hub's address.")],
    email: Annotated[str, typer.Option(help="The account at the hub.")],
    root: Root = None,
    password: Annotated[
        str,
        typer.Option(prompt=True, hide_input=True, help="Asked for if not given.", envvar="DURE_PASSWORD"),
    ] = "",
) -> None:
    """Sign in to a hub, and keep the token and the root's pinned key in a private file."""
    transport = Transport(hub, None)
    session = sign_in(transport, email=email, password=password)
    transport.close()
    kept = login.read()
    pinned = root or (kept.root if kept is not None and kept.hub == hub else None)
    place = login.keep(login.Login(hub=hub, token=session.token, root=pinned))
    Console().print(f"signed in until {session.expires:%Y-%m-%d %H:%M} UTC; kept in {place}", soft_wrap=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The study (YAML).")],
    epsilon: Annotated[
        float | None, typer.Option(help="Also say how much noise the numbers would carry at this epsilon.")
    ] = None,
    delta: Annotated[float, typer.Option(help="With --epsilon.")] = 1e-6,
    colluders: Annotated[int, typer.Option(min=0, help="With --epsilon: colluding hospitals.")] = 0,
    hospitals: Annotated[int, typer.Option(min=1, help="With --epsilon: how many hospitals answer.")] = 10,
) -> None:
    """Read a study without sending anything: what it asks, and what would leave each hospital."""
    study = study_file.read(file)
    terminal.show_check(study, Console())
    if epsilon is not None:
        noise = Noise(epsilon=epsilon, delta=delta, colluders=colluders)
        terminal.show_noise(study, noise, hospitals, Console())


@app.command()
def covariates(
    cdm: Annotated[str, typer.Option(help="A database at hand, such as hospital.duckdb.")],
    cohort: Annotated[
        list[Path],
        typer.Option(help="A cohort (ATLAS JSON); give the option once for each.", exists=True),
    ],
    out: Annotated[Path, typer.Option(help="The CSV file to write, which a study names as its covariates.")],
    min_count: Annotated[
        int, typer.Option(min=1, help="The fewest people of this database that must have a covariate.")
    ] = 1,
    analysis: Annotated[
        list[int] | None,
        typer.Option(
            help="A number of OHDSI FeatureExtraction's analyses; once for each. A usual set if none."
        ),
    ] = None,
    long: Annotated[int, typer.Option(help="First day of the long-term window.")] = -365,
    medium: Annotated[int, typer.Option(help="First day of the medium-term window.")] = -180,
    short: Annotated[int, typer.Option(help="First day of the short-term window.")] = -30,
    end: Annotated[int, typer.Option(help="Last day of all windows; 0 is the day of entry.")] = 0,
) -> None:
    """List the covariates that people of cohorts have in one database: a study's list must be fixed before it is asked."""
    windows = Windows(long=long, medium=medium, short=short, end=end)
    with open_engine(cdm) as engine, Console(stderr=True).status("looking"):
        plans = [plan(parse(path.read_bytes()), cdm_version=engine.dataset.cdm_version) for path in cohort]
        found = listed(engine, plans, analysis or DEFAULT, windows, least=min_count)
    lines = covariate_list.write(out, found)
    typer.echo(f"{lines} covariates in {out}")


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="The study (YAML).")],
    hub: Hub = None,
    token: Token = None,
    root: Root = None,
    key: Key = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and show what happens.")] = False,
) -> None:
    """Sign a study and put it before the hospitals; prints its digest."""
    study = study_file.read(file)
    with connect(hub, token, root=root, key=key) as client:
        digest = client.submit(study)
        typer.echo(digest)
        if watch:
            terminal.follow(client.watch(digest), Console(stderr=True))


@app.command()
def watch(digest: Digest, hub: Hub = None, token: Token = None) -> None:
    """Show what happens to a study until it is over."""
    console = Console()
    with connect(hub, token) as client:
        terminal.follow(client.watch(digest), console)
        terminal.show_state(client.study(digest), console)


@app.command()
def result(
    digest: Digest,
    hub: Hub = None,
    token: Token = None,
    root: Root = None,
    csv: Annotated[Path | None, typer.Option(help="Write every table into this folder as CSV.")] = None,
    parquet: Annotated[
        Path | None, typer.Option(help="Write every table into this folder as Parquet.")
    ] = None,
    language: Language = "en",
) -> None:
    """Verify and show a study's answer, or write its tables to files."""
    with connect(hub, token, root=root) as client:
        answer = client.result(digest)
    for folder, form in ((csv, "csv"), (parquet, "parquet")):
        if folder is not None:
            for path in answer.write_tables(folder, form=form):
                typer.echo(path)
    if csv is None and parquet is None:
        terminal.show_report(answer.report, Console(), language=language)


@app.command()
def report(
    digest: Digest,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")],
    hub: Hub = None,
    token: Token = None,
    root: Root = None,
    language: Language = "en",
) -> None:
    """Verify a study's report and write it as one HTML file."""
    with connect(hub, token, root=root) as client:
        typer.echo(client.result(digest).to_html(out, language=language))


@app.command("list")
def list_studies(hub: Hub = None, token: Token = None) -> None:
    """The studies of your organisation, newest first."""
    with connect(hub, token) as client:
        terminal.show_studies(client.studies(), Console())


@app.command()
def withdraw(digest: Digest, hub: Hub = None, token: Token = None) -> None:
    """Take a study back, if it isn't over."""
    with connect(hub, token) as client:
        client.withdraw(digest)
