"""A hospital's part in a run's masked sums, with its memory: `party`'s pure steps, one after the other.

Responsible for: holding the state between the steps, for the node, the lab and the tests alike. Not responsible for: what
may be said (`party`), keeping the state over a restart (the node's journal).
"""

from collections.abc import Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.guard.neighbours import threshold
from dure.study.kinds import kind_of
from dure.study.protocol.batch import HANDSHAKES
from dure.study.protocol.party import Party, Table, handshake, masked
from dure.study.spec import Study
from dure.wire.codec import digest, encode
from dure.wire.messages import Contribution, Handshake, Manifest, Task


class Player:
    """One hospital at one run's table."""

    def __init__(self, table: Table, party: Party | None = None) -> None:
        self.table = table
        self.party = party or Party()

    @staticmethod
    def asked_by(task: Task) -> bool:
        """Whether a task asks for a word on masks, not for numbers."""
        return task.position.exchange in HANDSHAKES

    def word(self, task: Task, *, secret: bytes) -> Handshake:
        """The word on masks. `secret` is 32 fresh random bytes. Raises MaskRefused, Forged, Malformed."""
        self.party, said = handshake(self.table, self.party, task, secret=secret)
        return said

    def over(self, task: Task, message: Contribution) -> Contribution:
        """A contribution under this hospital's masks. Raises MaskRefused, Forged, Malformed."""
        self.party, numbers = masked(self.table, self.party, task, message.numbers)
        return replace(message, numbers=numbers)


def table(
    manifest: Manifest,
    study: Study,
    *,
    me: str,
    key: Ed25519PrivateKey,
    node_keys: Mapping[str, str],
    outside: frozenset[str],
) -> Table:
    """What a hospital knows of a run before anything is summed, from its manifest and the permits in it."""
    return Table(
        run=manifest.run,
        manifest=digest(encode(manifest)),
        me=me,
        key=key,
        node_keys=node_keys,
        outside=outside,
        least=manifest.rules.least_hospitals,
        steps=kind_of(study.question).steps(study.question),
        least_shares=0 if manifest.rules.noise is None else threshold(len(manifest.roster)),
    )
