"""The demonstration: a national network with synthetic people, three askers and their requests.

Responsible for: who takes part, what is asked, what boards decide, telling it. Everything is simulated on this machine and
says so. Not responsible for: starting programs (`network`), the people (`synth`).
"""

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dure.client.terminal import show_report
from dure.demo.network import Hospital, Network, Organisation
from dure.demo.synth import generate
from dure.hub.actions.accounts import UserRole
from dure.node.config import AutoSign
from dure.wire.problems import Problem
from dure.wire.rules import Mode

STUDIES = Path(__file__).parent / "studies"
SEED = 2026
NAMES = (
    ("garam", "Garam University Hospital"),
    ("nuri", "Nuri General Hospital"),
    ("dasom", "Dasom Regional Hospital"),
    ("haneul", "Haneul Medical Centre"),
    ("bada", "Bada Hospital"),
    ("sol", "Sol Hospital"),
    ("byeol", "Byeol Clinic"),
    ("maru", "Maru Hospital"),
    ("sori", "Sori Hospital"),
    ("onnuri", "Onnuri Hospital"),
)
ASKERS = {
    "saebom": "Saebom Pharmaceuticals",
    "dandan": "Dandan Insurance",
    "isul": "Isul Cosmetics",
}
AUTO_SIGN = AutoSign(
    kinds=(
        "characterise",
        "distribution",
        "feasibility",
        "incidence",
        "pathways",
        "prevalence",
        "self_controlled",
        "subgroup",
        "survival",
    ),
    purposes=("trial_design", "safety", "research", "actuarial_tables"),
    modes=(Mode.TOTAL,),
    askers=tuple(ASKERS),
)
DECLINES = "This board does not release its own numbers for product development."


class TooFewHospitals(Problem):
    """A demonstration with fewer hospitals than a total needs, or more than have names."""

    slug, title, status, exit_code = "demo-size", "The demonstration can't have this size", 422, 102


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request of the story.

    Attributes:
        decline: the hospital whose board says no; None where all agree.
        told: what to look at in the answer.
    """

    asker: str
    file: str
    told: str
    decline: bool = False


STORY = (
    Request(
        asker="saebom", file="1_heart_failure_feasibility.yaml", told="how many, and where people are lost"
    ),
    Request(asker="saebom", file="2_heart_failure_incidence.yaml", told="a rate with an exact interval"),
    Request(asker="dandan", file="3_infarction_incidence.yaml", told="rates by age and sex"),
    Request(
        asker="isul",
        file="4_dermatitis_by_hospital.yaml",
        told="each hospital's own rounded numbers; one board declines, and the report says so",
        decline=True,
    ),
    Request(
        asker="saebom",
        file="5_rare_disease_by_hospital.yaml",
        told="every hospital's gate refuses: too few patients in each",
    ),
    Request(
        asker="saebom",
        file="6_rare_disease_total.yaml",
        told="the same patients, counted over the whole network: shown if there are 11 or more",
    ),
)


def run(folder: Path, *, persons: int, hospitals: int, port: int, once: bool, console: Console) -> None:
    """Play the whole story.

    Args:
        folder: kept between runs for the synthetic people, which are made once a size.
        once: stop when all is answered; else stay up until interrupted.

    Raises:
        TooFewHospitals: fewer than 3, or more than there are names.
        NetworkDown: a program of the network ended.
    """
    if not 3 <= hospitals <= len(NAMES):
        raise TooFewHospitals(
            f"{hospitals} hospitals.",
            where="--hospitals",
            mend=f"Give 3 to {len(NAMES)}: a total needs at least three.",
        )
    console.print("[bold]Dure[/]: a demonstration with synthetic people, all on this machine.")
    started = time.monotonic()
    databases = _people(folder / "people", persons=persons, hospitals=hospitals, console=console)
    made = time.monotonic()
    place = folder / f"network-{secrets.token_hex(4)}"
    password = secrets.token_urlsafe(12)
    organisations = _organisations(password)
    with (
        console.status("starting a hub and its hospitals") as status,
        Network(
            place,
            hospitals=[
                Hospital(id=name, name=title, database=database, auto_sign=AUTO_SIGN)
                for (name, title), database in zip(NAMES, databases, strict=False)
            ],
            organisations=organisations,
            port=port,
        ) as network,
    ):
        up = time.monotonic()
        digests = [(request, _ask(network, request)) for request in STORY]
        for request, digest in digests:
            status.update(f"asking: {request.told}")
            _decide(network, request, digest)
        for request, digest in digests:
            _follow(network, request, digest)
        done = time.monotonic()
        status.stop()
        for request, digest in digests:
            console.rule(f"{escape(ASKERS[request.asker])}: {escape(request.told)}")
            with network.client(request.asker) as client:
                show_report(client.report(digest), console)
        console.rule("what took how long")
        console.print(
            f"people {made - started:.1f} s, starting {up - made:.1f} s, {len(digests)} studies {done - up:.1f} s"
        )
        _sign_ins(network, organisations, console)
        if not once:
            console.print("The network stays up until Ctrl-C.")
            _stay(network)


def _people(folder: Path, *, persons: int, hospitals: int, console: Console) -> list[Path]:
    """Databases of synthetic people, made where they aren't there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(folder / f"{persons}-{number}.duckdb", number) for number in range(1, hospitals + 1)]
    missing = [(path, number) for path, number in wanted if not path.exists()]
    if missing:
        with (
            console.status(f"making {persons:,} synthetic people for each of {len(missing)} hospitals"),
            ProcessPoolExecutor(max_workers=2) as pool,
        ):
            for made in [pool.submit(_make, path, persons, number) for path, number in missing]:
                made.result()
    return [path for path, _ in wanted]


def _make(path: Path, persons: int, number: int) -> None:
    generate(persons=persons, seed=SEED, hospital=number, path=path)


def _organisations(password: str) -> Sequence[Organisation]:
    askers = [
        Organisation(id=name, name=title, email=f"analyst@{name}.example", password=password)
        for name, title in ASKERS.items()
    ]
    regulator = Organisation(
        id="ombudsman",
        name="Office of the Ombudsman",
        email="auditor@ombudsman.example",
        password=password,
        role=UserRole.REGULATOR,
    )
    return (*askers, regulator)


def _ask(network: Network, request: Request) -> str:
    with network.client(request.asker) as client:
        return client.submit(STUDIES / request.file)


def _decide(network: Network, request: Request, digest: str) -> None:
    """Boards decide what no standing yes covers."""
    for number, hospital in enumerate(network.hospitals):
        while not network.waits_at(hospital.id, digest):
            network.check()
            with network.client(request.asker) as client:
                if any(
                    part.hospital == hospital.id and part.state not in {"offered", "asked"}
                    for part in client.study(digest).parts
                ):
                    break
            time.sleep(0.1)
        else:
            if request.decline and number == 0:
                network.decline(hospital.id, digest, DECLINES)
            elif request.file.endswith("by_hospital.yaml"):
                network.sign(hospital.id, digest)


def _follow(network: Network, request: Request, digest: str) -> None:
    """Wait until a study is over."""
    with network.client(request.asker) as client:
        for _ in client.watch(digest):
            network.check()


def _sign_ins(network: Network, organisations: Sequence[Organisation], console: Console) -> None:
    table = Table("who", "e-mail", "password")
    for one in organisations:
        table.add_row(escape(one.name), one.email, one.password)
    console.print(f"\n[bold]Portal:[/] {network.address}")
    console.print(table)
    for hospital in network.hospitals:
        folder = network.node_folder(hospital.id)
        console.print(f"{escape(hospital.name)}: dure node requests --all --dir {folder}", soft_wrap=True)


def _stay(network: Network) -> None:
    while True:
        network.check()
        time.sleep(1)
