"""What hospitals' files say: whose they are, the answers in them, a no.

Responsible for: reading a file and finding in it what is asked for. Not responsible for: whether answers may be added
(`dure.study.protocol.by_hand`), what follows (`by_hand`).
"""

from collections.abc import Sequence
from pathlib import Path

from dure.client.problems import Unreadable
from dure.govern.permit import Verified
from dure.study.protocol.by_hand import OtherRun
from dure.study.protocol.run import Withholding
from dure.wire.by_hand import Halves, Mail
from dure.wire.codec import decode
from dure.wire.envelope import MEDIA_TYPE, Envelope, open_sealed, peek
from dure.wire.messages import Exchange, Refusal

MOST_BYTES = 1 << 30
HALVES, REFUSAL = MEDIA_TYPE.format("halves"), MEDIA_TYPE.format("refusal")


def mails(study: str, files: Sequence[Path]) -> list[Mail]:
    """Hospitals' files about a study. Raises Unreadable, Malformed; OtherRun where one is of another study."""
    found: list[Mail] = [decode(Mail, read(file), where=str(file)) for file in files]
    for mail, file in zip(found, files, strict=True):
        if mail.study != study:
            raise OtherRun(
                f"It is {mail.hospital}'s file of another study.",
                where=str(file),
                mend="Bring its file of this one.",
            )
    return found


def halves(mails: Sequence[Mail], exchange: Exchange) -> list[Envelope]:
    """The answers at an exchange: a hospital's file holds all that it has said so far."""
    return [
        envelope
        for mail in mails
        for envelope in mail.envelopes
        if envelope.payloadType == HALVES
        and peek(Halves, envelope, where=f"file of {mail.hospital}").position.exchange is exchange
    ]


def refusal(mail: Mail, run: Verified) -> Withholding | None:
    """A hospital's no, if its file holds one that it signed for this run."""
    for envelope in mail.envelopes:
        if envelope.payloadType == REFUSAL and mail.hospital in run.node_keys:
            here = f"file of {mail.hospital}"
            said = open_sealed(Refusal, envelope, "refusal", run.node_keys[mail.hospital], where=here)
            if (said.run, said.hospital) == (run.manifest.run, mail.hospital):
                return Withholding(rule=said.rule, reason=said.reason)
    return None


def read(path: Path) -> bytes:
    """A file's bytes. Raises Unreadable."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"{error.strerror}.", where=str(path), mend="Check the path.") from None
    if len(data) > MOST_BYTES:
        raise Unreadable(
            f"It is longer than {MOST_BYTES} bytes.", where=str(path), mend="It is no file of Dure's."
        )
    return data
