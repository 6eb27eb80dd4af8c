"""Whether a report is what was signed: the asker's study, the boards' permits, the manifest that follows from them.

Responsible for: binding a report to signatures that the hub can't make. Pure. Not responsible for: the numbers: the hub
adds them, and nothing signed vouches for the sum (see docs/client.md).
"""

from typing import NoReturn

from dure.client.problems import Unverified
from dure.study.protocol.run import compose
from dure.study.report import Part, Report
from dure.study.spec import Study
from dure.wire.answers import StudyNow
from dure.wire.codec import decode, encode
from dure.wire.codec import digest as digest_of
from dure.wire.directory import Directory
from dure.wire.envelope import Envelope, open_sealed, peek
from dure.wire.messages import Manifest, Permit

SEATED = {Part.ANSWERED, Part.REFUSED, Part.DROPPED}


def verify(report: Report, now: StudyNow, *, digest: str, directory: Directory) -> None:
    """Raise where the report isn't of this study, or names permits, rules or hospitals that weren't signed.

    Raises:
        Unverified: two things don't match.
        Forged, Untrusted: a signature or a member.
    """
    here = f"study {digest}"
    study = _study(now, digest, directory, here)
    if (report.study, report.title, report.asker, report.mode) != (
        digest,
        study.title,
        study.asker,
        study.mode,
    ):
        _refuse("The report is of another study.", here)
    named = {part.permit for part in report.participation if part.part in SEATED}
    if now.manifest is None:
        if named - {None} or any(table.rows for table in report.tables):
            _refuse("The report holds numbers, but there is no manifest of a run.", here)
        return
    if report.manifest != digest_of(now.manifest):
        _refuse("The report names another manifest than the run's.", here)
    manifest: Manifest = decode(Manifest, now.manifest, where=f"{here}, manifest")
    permits = {envelope.digest: _permit(envelope, directory, here) for envelope in now.permits}
    expected = compose(digest, study, permits, run=manifest.run, now=manifest.created)
    if encode(expected) != now.manifest or report.rules != manifest.rules:
        _refuse("The manifest or the rules are not those that follow from the permits.", here)
    if named != set(permits):
        _refuse("The hospitals of the report are not those that signed permits.", here)
    asker = directory.member(study.asker, where=here)
    for permit in permits.values():
        if (permit.study, permit.asker, permit.asker_key, permit.mode) != (
            digest,
            study.asker,
            asker.asker_key,
            study.mode,
        ):
            _refuse(f"The permit of {permit.hospital} is for another study, asker or mode.", here)


def _study(now: StudyNow, digest: str, directory: Directory, here: str) -> Study:
    if now.envelope.digest != digest:
        _refuse("The hub gave another study.", here)
    asker = directory.member(peek(Study, now.envelope, where=here).asker, where=here)
    if asker.asker_key is None:
        _refuse(f"{asker.id} has no asker's key.", here)
    return open_sealed(Study, now.envelope, "study", asker.asker_key, where=here)


def _permit(envelope: Envelope, directory: Directory, here: str) -> Permit:
    hospital = directory.member(peek(Permit, envelope, where=here).hospital, where=here)
    if hospital.board_key is None:
        _refuse(f"{hospital.id} has no board.", here)
    return open_sealed(
        Permit, envelope, "permit", hospital.board_key, where=f"{here}, permit of {hospital.id}"
    )


def _refuse(what: str, where: str) -> NoReturn:
    raise Unverified(what, where=where, mend="Don't use the numbers; tell the root and the hub's operator.")
