"""What can go wrong with a database or with cohorts on it, each with its slug and exit code (90 to 99, 103 to 105, 108 to 110)."""

from collections.abc import Iterator
from contextlib import contextmanager

from dure.wire.problems import Problem


class UnknownEngine(Problem):
    slug = "engine-unknown"
    title = "No engine opens this location"
    status = 422
    exit_code = 90


class DatabaseMissing(Problem):
    slug = "database-missing"
    title = "The database isn't there"
    status = 404
    exit_code = 91


class DatabaseUnreadable(Problem):
    slug = "database-unreadable"
    title = "The file isn't a database that can be read"
    status = 422
    exit_code = 92


class StorageVersion(Problem):
    slug = "database-storage-version"
    title = "The database was written by a version of DuckDB that this one can't read"
    status = 422
    exit_code = 93


class NotACdm(Problem):
    slug = "database-not-a-cdm"
    title = "The database isn't an OMOP CDM that Dure has stamped"
    status = 422
    exit_code = 94


class PlanRefused(Problem):
    slug = "plan-refused"
    title = "An engine doesn't run this"
    status = 403
    exit_code = 95


class QueryFailed(Problem):
    slug = "query-failed"
    title = "The database couldn't answer"
    status = 500
    exit_code = 96


class DiskFull(Problem):
    slug = "disk-full"
    title = "There is no room on the disk"
    status = 507
    exit_code = 97


class OutputExists(Problem):
    slug = "output-exists"
    title = "The file to be made exists already"
    status = 409
    exit_code = 98


class DatabaseBusy(Problem):
    slug = "database-busy"
    title = "Another program holds the database"
    status = 423
    exit_code = 99


class RoleCanWrite(Problem):
    slug = "database-role-can-write"
    title = "The database role may change the CDM"
    status = 403
    exit_code = 103


class StampStale(Problem):
    slug = "database-stamp-stale"
    title = "The CDM has changed since it was stamped"
    status = 409
    exit_code = 104


class DatabaseUnreachable(Problem):
    slug = "database-unreachable"
    title = "The database server can't be reached"
    status = 503
    exit_code = 105


class SparkMissing(Problem):
    slug = "spark-missing"
    title = "Spark can't be started"
    status = 500
    exit_code = 108


class CohortsFailed(Problem):
    slug = "cohorts-failed"
    title = "Some cohorts couldn't be computed"
    status = 422
    exit_code = 109


class QueryCancelled(Problem):
    slug = "query-cancelled"
    title = "The query was stopped"
    status = 499
    exit_code = 110


@contextmanager
def needs_spark() -> Iterator[None]:
    """Around the import of what only the extra `spark` brings."""
    try:
        yield
    except ImportError as error:
        raise SparkMissing(
            f"PySpark isn't installed: {error.name or type(error).__name__}",
            where="the Spark engine",
            mend="Install Dure with its extra: pip install 'dure[spark]'.",
        ) from None
