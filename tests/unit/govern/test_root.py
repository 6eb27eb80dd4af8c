"""The root admits a key only where people have heard its fingerprint."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.govern import root
from dure.wire.codec import decode
from dure.wire.directory import open_directory
from dure.wire.envelope import Envelope, Forged, fingerprint, public_text, seal
from dure.wire.messages import Enrolment

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def enrolment(board, node, *signers):
    told = Enrolment(
        hospital="hanbit",
        name="Hanbit",
        affiliation="hanbit",
        board_key=public_text(board),
        node_key=public_text(node),
        declaration=Envelope(payloadType="x", payload=b"", signatures=()),
        created=NOW,
    )
    return seal(told, "enrolment", *signers)


@pytest.fixture
def pair():
    return Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def heard(key):
    return fingerprint(public_text(key))


def test_a_hospital_is_admitted_by_both_fingerprints(pair):
    member = root.hospital(
        (enrolment(*pair, *pair),), "hanbit", board=heard(pair[0]), node=heard(pair[1]).lower()
    )
    assert member.board_key == public_text(pair[0])


@pytest.mark.parametrize("other", ["board", "node"])
def test_another_fingerprint_admits_nobody(pair, other):
    stranger = heard(Ed25519PrivateKey.generate())
    told = {"board": heard(pair[0]), "node": heard(pair[1]), other: stranger}
    with pytest.raises(root.OtherFingerprint):
        root.hospital((enrolment(*pair, *pair),), "hanbit", **told)


def test_keys_that_it_does_not_hold_are_not_admitted(pair):
    with pytest.raises(Forged):
        root.hospital((enrolment(*pair, pair[0]),), "hanbit", board=heard(pair[0]), node=heard(pair[1]))


def test_who_has_not_asked_is_not_admitted():
    with pytest.raises(root.NotEnrolled):
        root.hospital((), "hanbit", board="", node="")


def test_versions_grow_and_new_keys_raise_the_epoch(tmp_path):
    text = root.make(tmp_path / "root", "a passphrase")
    with pytest.raises(root.NoRoot):
        root.make(tmp_path / "root", None)
    with pytest.raises(root.NoRoot):
        root.read_key(tmp_path / "root", None)
    key = root.read_key(tmp_path / "root", "a passphrase")
    one = public_text(Ed25519PrivateKey.generate())
    for _ in range(2):
        member = root.asker("maker", "Maker", "maker", key=one, heard=fingerprint(one))
        listed = root.admit(root.members(tmp_path / "root")[1], member)
        root.sign(tmp_path / "root", listed, key, now=NOW, days=1)
    sealed = decode(Envelope, (tmp_path / "root" / root.DIRECTORY).read_bytes(), where="test")
    directory = open_directory(sealed, root=text, now=NOW, least_version=2, where="test")
    assert (directory.version, directory.members[0].epoch) == (2, 2)
    assert root.remove(directory.members, "maker") == ()
    with pytest.raises(root.NotEnrolled):
        root.remove(directory.members, "nobody")
