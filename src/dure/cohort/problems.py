"""What can be wrong with a cohort definition, each with the place in the file and the mend. Exit codes 20 to 29."""

from dure.wire.problems import Problem


class NotJson(Problem):
    """The file is not one JSON document."""

    slug = "cohort-not-json"
    title = "The cohort definition is not JSON"
    status = 400
    exit_code = 20


class NotCirce(Problem):
    """The document lacks what every Circe expression has, or a value has the wrong type."""

    slug = "cohort-not-circe"
    title = "The cohort definition is not a Circe expression"
    status = 422
    exit_code = 21


class NotSupported(Problem):
    """A property that Dure does not know, or cannot answer, and that could change who is in the cohort."""

    slug = "cohort-not-supported"
    title = "The cohort definition uses something that Dure does not support"
    status = 422
    exit_code = 22


class Contradictory(Problem):
    """The parts of the definition do not fit together."""

    slug = "cohort-contradictory"
    title = "The cohort definition contradicts itself"
    status = 422
    exit_code = 23


class UnknownVersion(Problem):
    """A version of the common data model that no plan can be made for."""

    slug = "cohort-unknown-cdm-version"
    title = "The CDM version is unknown"
    status = 422
    exit_code = 24


class MissingTable(Problem):
    """The database lacks a table or column that the cohort reads."""

    slug = "cohort-missing-table"
    title = "The database lacks what the cohort reads"
    status = 422
    exit_code = 25


class CriticalFindings(Problem):
    """The linter found what can't be meant."""

    slug = "cohort-critical-findings"
    title = "The linter has critical findings"
    status = 422
    exit_code = 28
