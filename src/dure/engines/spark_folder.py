"""A CDM as Parquet files in one folder, read by Spark in this machine's own Java: `spark:local?path=/data/cdm`.

Responsible for: starting Spark without a web page, a log or a catalogue of its own, finding files, the stamp's file. Not responsible
for: what is asked of the tables (`spark`).

A table is a file `person.parquet` or a folder `person` of such files.
"""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from dure.engines import server
from dure.engines.problems import DatabaseMissing, SparkMissing
from dure.engines.spark import KNOWN, SETTINGS, WHERE, quiet

OPTIONS = frozenset({"path"})
_STAMP_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("version", "cdm_version", "source")]
    + [("persons", pa.int64()), ("first_date", pa.date32()), ("last_date", pa.date32())]
    + [("witness", pa.string())]
)


class Folder:
    """See `engines.spark.Source`. Made by `opened_folder`."""

    def __init__(self, folder: Path, session: SparkSession) -> None:
        self.session = session
        self.shown = str(folder)
        self._folder = folder

    @property
    def names(self) -> list[str]:
        return [name for name in sorted(KNOWN) if self._at(name).exists()]

    def table(self, name: str) -> DataFrame:
        return self.session.read.parquet(str(self._at(name)))

    def witness(self) -> str:
        """Names, sizes and times of the tables' files."""
        facts = []
        for name in self.names:
            path = self._at(name)
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                state = file.stat()
                if file.is_file():
                    facts.append((str(file.relative_to(self._folder)), state.st_size, state.st_mtime_ns))
        return server.condensed(facts)

    def stamps(self) -> Sequence[Sequence[object]]:
        file = self._folder / f"{server.STAMP}.parquet"
        if file.is_file():
            with suppress(pa.ArrowInvalid, KeyError):
                rows = pq.read_table(file).to_pylist()
                return [tuple(row[name] for name in server.STAMP_COLUMNS) for row in rows]
        return []

    def write(self, told: Mapping[str, object]) -> None:
        partial = self._folder / f".{server.STAMP}.partial"
        pq.write_table(pa.Table.from_pylist([dict(told)], schema=_STAMP_SCHEMA), partial)
        partial.replace(self._folder / f"{server.STAMP}.parquet")

    def close(self) -> None:
        """Forget what the session has by name; its process stays for the next."""
        with suppress(Py4JError, PySparkException):
            for view in self.session.catalog.listTables():
                self.session.catalog.dropTempView(view.name)

    def _at(self, name: str) -> Path:
        folder = self._folder / name
        return folder if folder.is_dir() else self._folder / f"{name}.parquet"


def opened_folder(location: str, *, memory: str = "2GB", threads: int | None = None) -> Folder:
    """The folder that a location names.

    Args:
        memory: of Java's heap; what doesn't fit is spilled. It is that of the first folder that a process opens.
        threads: cores to take; None means all. Also the first one's.

    Raises:
        UnknownEngine: the location can't be read. DatabaseMissing: there is no such folder.
        SparkMissing: Java or Spark can't be started.
    """
    at = server.address(location, options=OPTIONS)
    folder = Path(at.option("path", ""))
    if at.path != "local" or not at.option("path", "") or not folder.is_dir():
        raise DatabaseMissing(
            "The location names no folder",
            where=at.shown,
            mend="Write spark:local?path=/folder/of/the/cdm, with a Parquet file or folder for each table.",
        )
    return Folder(folder, _session(memory=memory, threads=threads))


def _session(*, memory: str, threads: int | None) -> SparkSession:
    """A session of its own in this process's Spark, which is started by the first."""
    cores = "*" if threads is None else str(threads)
    spill = Path(tempfile.mkdtemp(prefix="dure-spark-")) if SparkSession.getActiveSession() is None else None
    if spill is not None:
        atexit.register(shutil.rmtree, spill, ignore_errors=True)
    settings = {
        **SETTINGS,
        "spark.driver.memory": memory.upper().rstrip("IB").lower(),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.shuffle.partitions": str(threads or 4),
        "spark.sql.adaptive.enabled": "false",
        **({} if spill is None else {"spark.local.dir": str(spill), "spark.sql.warehouse.dir": str(spill)}),
    }
    builder = SparkSession.Builder().master(f"local[{cores}]").appName("dure")
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        found = builder.getOrCreate()
    except (PySparkException, OSError) as error:
        raise SparkMissing(
            f"Spark can't be started: {type(error).__name__}",
            where=WHERE,
            mend="Install Java 17 or later (Debian: default-jre-headless) and set JAVA_HOME if it isn't in PATH.",
        ) from None
    found.sparkContext.setLogLevel("OFF")  # its log quotes rows
    quiet()
    return found.newSession()
