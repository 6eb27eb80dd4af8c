"""One small CDM on every engine, full of values that databases mean differently."""

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.postgres_cdm import READER, load, may_read
from dure.engines import Engine, open_engine
from dure.engines.cdm_file import create
from dure.engines.dataset import Dataset
from dure.onboard.stamp import stamp

STAMP = Dataset(
    version="v1",
    cdm_version="5.4",
    source="a few people",
    persons=4,
    first_date=date(2020, 1, 1),
    last_date=date(2020, 12, 31),
)
HUGE = 2**62
TOKEN = secrets.token_hex(16)
DAYS = [None, date(1582, 10, 15), date(1900, 2, 28), date(1969, 12, 31), date(2000, 2, 29), date(2019, 12, 31),
        date(2020, 2, 29), date(2020, 3, 1), date(2299, 12, 31)]  # fmt: skip
NUMBERS = [None, 0.0, -0.5, 0.1, 0.30000000000000004, 2.25, 7.12345, 1e-9, 123456789.125, 1e15]
TEXTS = [
    None,
    "",
    "a",
    "A",
    "ab",
    "a%",
    "a_b",
    "a\\b",
    "한글",
    "é",
    "e\u0301",
    'a,b\n"c"',
    " a ",
    "NULL",
    "%",
    "\\",
    "'",
]


def tables() -> dict[str, pa.Table]:
    """Columns of the model: every pairing of nasty values that the tests compare."""
    people = [1, 2, 3, HUGE]
    measured = [
        (
            number,
            person,
            day,
            NUMBERS[number % len(NUMBERS)],
            NUMBERS[number * 7 % len(NUMBERS)],
            TEXTS[number % len(TEXTS)],
        )
        for number, (person, day) in enumerate((p, d) for p in people for d in DAYS if d is not None)
    ]
    return {
        "person": pa.table(
            {
                "person_id": people,
                "gender_concept_id": [8507, 8532, 8532, 0],
                "year_of_birth": [1980, 1990, 2000, 1],
                "birth_datetime": pa.array([None] * 4, pa.timestamp("us")),
                "race_concept_id": [0] * 4,
                "ethnicity_concept_id": [0] * 4,
            }
        ),
        "observation_period": pa.table(
            {
                "observation_period_id": [1, 2, 3],
                "person_id": [1, 2, HUGE],
                "observation_period_start_date": [date(2020, 1, 1)] * 3,
                "observation_period_end_date": [date(2020, 12, 31), date(2020, 1, 1), date(2020, 6, 30)],
                "period_type_concept_id": [0] * 3,
            }
        ),
        "measurement": pa.table(
            {
                "measurement_id": [row[0] for row in measured],
                "person_id": [row[1] for row in measured],
                "measurement_concept_id": [row[0] % 5 for row in measured],
                "measurement_date": [row[2] for row in measured],
                "measurement_type_concept_id": [0] * len(measured),
                "value_as_number": pa.array([row[3] for row in measured], pa.float64()),
                "range_high": pa.array([row[4] for row in measured], pa.float64()),
                "value_source_value": pa.array([row[5] for row in measured], pa.string()),
                "visit_occurrence_id": pa.array([None if row[0] % 3 else row[0] for row in measured], pa.int64()),
            }
        ),
        "drug_exposure": pa.table(
            {
                "drug_exposure_id": list(range(len(DAYS) - 1)),
                "person_id": [1] * (len(DAYS) - 1),
                "drug_concept_id": [1] * (len(DAYS) - 1),
                "drug_exposure_start_date": DAYS[1:],
                "drug_exposure_end_date": [date(2020, 1, 1)] * (len(DAYS) - 1),
                "drug_type_concept_id": [0] * (len(DAYS) - 1),
                "days_supply": pa.array([None, 0, -400, 1, 30, 9_999_999, -9_999_999, 1000], pa.int64()),
            }
        ),
        "concept": pa.table(
            {
                "concept_id": [1, 2, 3],
                "concept_name": ["one", "two", "three"],
                "domain_id": ["x"] * 3,
                "vocabulary_id": ["x"] * 3,
                "concept_class_id": ["x"] * 3,
                "concept_code": ["1", "2", "3"],
                "valid_start_date": [date(1970, 1, 1)] * 3,
                "valid_end_date": [date(2099, 12, 31)] * 3,
                "invalid_reason": pa.array([None, None, "D"], pa.string()),
            }
        ),
        "concept_ancestor": pa.table(
            {
                "ancestor_concept_id": [1, 1],
                "descendant_concept_id": [1, 2],
                "min_levels_of_separation": [0, 1],
                "max_levels_of_separation": [0, 1],
            }
        ),
    }  # fmt: skip


@pytest.fixture(scope="session")
def small_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("small") / "small.duckdb"
    with create(path, "5.4") as writer:
        for name, rows in tables().items():
            writer.append(name, rows)
        writer.stamp(STAMP)
    return path


@dataclass(frozen=True)
class OnServer:
    """A CDM in a schema on PostgreSQL: the loader's location and the reader's."""

    database: str
    schema: str

    @property
    def loader(self) -> str:
        return f"{self.database}?schema={self.schema}"

    @property
    def reader(self) -> str:
        return self.loader.replace("dure@", f"{READER}@")

    def run(self, *statements: str) -> None:
        """Do something as its owner; what the statements call cdm is this schema."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            for statement in statements:
                connection.execute(
                    statement.replace("cdm.", f"{self.schema}.").replace(
                        "SCHEMA cdm", f"SCHEMA {self.schema}"
                    )
                )


def on_server(database: str, file: Path, *, schema: str = "cdm", temporary: bool = True) -> OnServer:
    """Copy a CDM file to a schema of its own, and stamp it."""
    made = OnServer(database, schema)
    with tempfile.TemporaryDirectory() as folder:
        copied = shutil.copy(file, folder)  # the file itself may be open with other settings
        with duckdb.connect(str(copied), read_only=True) as source:
            load(database, schema, source, wide=True)
    stamp(made.loader, cdm_version="5.4", progress=lambda table, rows: None)
    may_read(database, schema, temporary=temporary)
    return made


@pytest.fixture(scope="session")
def small_server(postgresql_server, small_file) -> OnServer:
    return on_server(postgresql_server.create(), small_file)


@pytest.fixture(scope="session")
def small_server_without_temporary(postgresql_server, small_file) -> OnServer:
    return on_server(postgresql_server.create(), small_file, temporary=False)


def needs_spark() -> None:
    pytest.importorskip("pyspark", reason="needs PySpark: make test installs it")
    pytest.importorskip("grpc_status", reason="needs PySpark's extra connect: make test installs it")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("needs Java for Spark. On Debian: apt-get install default-jre-headless")
    # Java's second compiler takes as long as all these tests together before it pays.
    os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    settings = {
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": connect_port(),
        "spark.connect.authenticate.token": TOKEN,
    }
    listed = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", f"{listed} pyspark-shell")


@cache
def connect_port() -> int:
    """Where the one Spark of these tests speaks Connect."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def written(folder: Path, source: dict[str, pa.Table]) -> Path:
    """A CDM as Parquet files."""
    for name, rows in source.items():
        pq.write_table(rows, folder / f"{name}.parquet")
    return folder


def in_folder(folder: Path, source: dict[str, pa.Table]) -> Path:
    """A CDM as Parquet files, stamped."""
    needs_spark()
    written(folder, source)
    stamp(f"spark:local?path={folder}", cdm_version="5.4", progress=lambda table, rows: None)
    return folder


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory) -> Path:
    return in_folder(tmp_path_factory.mktemp("parquet"), tables())


@dataclass(frozen=True)
class Cluster:
    """A Spark server that speaks Connect, and asks for a token."""

    port: int
    tokenfile: Path

    def location(self, schema: str) -> str:
        return f"sc://tester@localhost:{self.port}?schema={schema}&tokenfile={self.tokenfile}"

    def run(self, *statements: str) -> None:
        """Do something as its owner. No engine may be open on it."""
        from dure.engines.spark_connect import opened_schema

        source = opened_schema(self.location("default"))
        for statement in statements:
            source.session.sql(statement)
        source.close()

    def of_files(self, schema: str, folder: Path, *, copied: Collection[str] = ()) -> str:
        """A schema whose tables are the Parquet files in a folder, stamped.

        Args:
            copied: tables to be the server's own instead.
        """
        made = [f"CREATE SCHEMA {schema}"]
        for file in sorted(folder.glob("*.parquet")):
            if file.stem in copied:
                view = f"CREATE TEMPORARY VIEW arriving USING parquet OPTIONS (path '{file}')"
                made += [view, f"CREATE TABLE {schema}.{file.stem} USING parquet AS SELECT * FROM arriving"]
                made += ["DROP VIEW arriving"]
            else:
                made += [f"CREATE TABLE {schema}.{file.stem} USING parquet LOCATION '{file}'"]
        self.run(*made)
        stamp(self.location(schema), cdm_version="5.4", progress=lambda table, rows: None)
        return self.location(schema)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Cluster:
    """A server in the Java that the engine over files starts; a second one would take half of the time of all these tests."""
    needs_spark()
    from dure.engines.spark_folder import opened_folder

    room = tmp_path_factory.mktemp("cluster")
    opened_folder(f"spark:local?path={room}").close()
    token = room / "token"
    token.touch(mode=0o600)
    token.write_text(f"{TOKEN}\n")
    return Cluster(port=connect_port(), tokenfile=token)


@pytest.fixture(scope="session")
def small_cluster(cluster, tmp_path_factory) -> str:
    return cluster.of_files("small", written(tmp_path_factory.mktemp("small_cluster"), tables()))


@pytest.fixture
def own(small_server, small_file) -> OnServer:
    """A schema that a test may spoil."""
    return on_server(small_server.database, small_file, schema=f"own_{secrets.token_hex(4)}")


LOCATIONS = {
    "duckdb": lambda request: str(request.getfixturevalue("small_file")),
    "postgresql": lambda request: request.getfixturevalue("small_server").reader,
    "postgresql, nothing kept": lambda request: (
        request.getfixturevalue("small_server_without_temporary").reader
    ),
    "spark": lambda request: f"spark:local?path={request.getfixturevalue('small_folder')}",
    "spark connect": lambda request: request.getfixturevalue("small_cluster"),
}
"""How each engine is reached in these tests: a line for each."""
MARKS = {"spark connect": [pytest.mark.slow]}
_OPEN: dict[str, Engine] = {}


def opened(request: pytest.FixtureRequest, name: str) -> Engine:
    """The engine of this name, one for the whole run."""
    if name not in _OPEN:
        _OPEN[name] = open_engine(LOCATIONS[name](request))
        request.session.addfinalizer(lambda: closed(name))
    return _OPEN[name]


def closed(name: str) -> None:
    """Close the engine of this name, if it is open."""
    if name in _OPEN:
        _OPEN.pop(name).close()


@pytest.fixture
def reference(request) -> Engine:
    """DuckDB, which the others are held against; the referee holds it in `tests/generative`."""
    return opened(request, "duckdb")


def marked(name: str):
    """An engine's name as a parameter."""
    return pytest.param(name, marks=MARKS.get(name, []))


@pytest.fixture(params=[marked(name) for name in ("postgresql", "spark", "spark connect")])
def other(request) -> Engine:
    """Every database but DuckDB."""
    return opened(request, request.param)


@pytest.fixture(params=[marked(name) for name in LOCATIONS])
def engine(request) -> Engine:
    """Every engine."""
    return opened(request, request.param)
