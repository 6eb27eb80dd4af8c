"""What can go wrong on a hospital's way in, each with its slug and exit code (10 to 18; 19 is `MANY_REJECTED`)."""

from dure.wire.problems import Problem

MANY_REJECTED = 19
"""Exit code of a load that succeeded with more rows rejected than the stated share."""


class SourceMissing(Problem):
    slug = "source-missing"
    title = "There is no such folder or zip"
    status = 404
    exit_code = 10


class SourceUnsafe(Problem):
    slug = "source-unsafe"
    title = "The archive is made so that opening it would do harm"
    status = 422
    exit_code = 11


class SourceNotACdm(Problem):
    slug = "source-not-a-cdm"
    title = "The source lacks tables without which there is no CDM"
    status = 422
    exit_code = 12


class ColumnMissing(Problem):
    slug = "source-column-missing"
    title = "A file lacks a column that its table must have"
    status = 422
    exit_code = 13


class FileUnreadable(Problem):
    slug = "source-file-unreadable"
    title = "A file of the source can't be read"
    status = 422
    exit_code = 14


class NobodyThere(Problem):
    slug = "source-nobody-there"
    title = "There are not enough people"
    status = 422
    exit_code = 15


class RowsRejected(Problem):
    slug = "source-rows-rejected"
    title = "Too many rows were rejected, and the load was to be strict"
    status = 422
    exit_code = 16


class SourceAmbiguous(Problem):
    slug = "source-ambiguous"
    title = "Two things in the source claim to be the same"
    status = 422
    exit_code = 17


class CdmVersionUnknown(Problem):
    slug = "source-cdm-version"
    title = "The source is of a CDM version that Dure doesn't read"
    status = 422
    exit_code = 18
