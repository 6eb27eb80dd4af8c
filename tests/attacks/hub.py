"""A hub that lies: for one hospital's masked numbers, and for runs and questions that no board signed.

Off, a hospital follows the arithmetic and checks nothing; on, it is the real one of `study.protocol.party` and `node`.
"""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from dure.govern.permit import Seated
from dure.guard import masks, shamir
from dure.guard.neighbours import threshold
from dure.study.kinds import kind_of
from dure.study.protocol.party import MaskRefused
from dure.study.spec import Study
from dure.wire import ring
from dure.wire.codec import decode, digest
from dure.wire.directory import Directory
from dure.wire.envelope import Forged, peek, seal
from dure.wire.messages import Agreement, Exchange, Manifest, MaskKeys, Permit, Provenance
from dure.wire.rules import Rules
from tests.attacks.attack import Class, Tried, attack
from tests.unit.guard.test_masks import PLACE, TRANSCRIPT
from tests.unit.guard.test_masks import Network as Masked
from tests.unit.node import test_hostile_hub as hostile
from tests.unit.node.conftest import Network
from tests.unit.study.test_party import NAMES, World, without

MASKS = "masks"
VICTIM = "h000"


def bared(sent, numbers):
    """Whether the hub has the victim's numbers, from what it makes of them."""
    same = bool((sent == numbers).all())
    return Tried(success=same, figure="the hospital's numbers" if same else "nothing")


def refused(lie, exchange):
    """A real hospital is told a lie at an exchange of a run: it must say nothing."""
    world = World()
    task = world.until(exchange)
    try:
        world.said("a", lie(world, task))
    except (MaskRefused, Forged) as problem:
        return Tried(success=False, figure="nothing", by={getattr(problem, "rule", problem.slug)})
    return Tried(success=True, figure="it answers")


def stripped(network, y, *, self_seed, key, against):
    """The victim's numbers without masks, for who has both of its secrets."""
    y = ring.add(y, ring.negated(masks.expand(self_seed, len(y))))
    private = X25519PrivateKey.from_private_bytes(key)
    for other in against:
        seed = masks._pair_seed(private, network.announced[other].key, PLACE, TRANSCRIPT)
        y = masks._signed(y, masks.expand(seed, len(y)), plus=other <= VICTIM)
    return y


def both_secrets(network, selves_from, keys_from):
    seed = shamir.combine(network.told(VICTIM, selves_from, of_key=False))
    key = shamir.combine(network.told(VICTIM, keys_from, of_key=True))
    others = [name for name in network.names if name != VICTIM]
    return stripped(network, network.sent(VICTIM, network.names), self_seed=seed, key=key, against=others)


@attack(
    MASKS,
    "read each hospital's numbers as they come in",
    rule="masks",
    peer="DataSHIELD, vantage6, FLARE, Flower: visible",
)
def read_what_arrives(guard):
    network = Masked(5)
    arrives = network.sent(VICTIM, network.names) if guard else network.numbers[VICTIM]
    return replace(bared(arrives, network.numbers[VICTIM]), by={"masks"})


@attack(MASKS, "a run without masks over real data", rule="not-permitted")
def run_without_masks(guard):
    return node_lie(guard, hostile.with_manifest(masked=False))


@attack(MASKS, "ask for both secrets of one hospital", rule="masks")
def ask_for_both_secrets(guard):
    if not guard:
        network = Masked(5)
        return bared(both_secrets(network, network.names, network.names), network.numbers[VICTIM])
    return refused(lambda _, t: replace(t, members=NAMES[1:]), Exchange.SUPPORT_OPEN)


@attack(MASKS, "tell half of the hospitals that the victim is in, half that it dropped out", rule="masks")
def equivocation(guard):
    """Where half of the hospitals suffice and nobody signs the list, both secrets come together."""
    if not guard:
        with patch("tests.unit.guard.test_masks.threshold", lambda parties: parties // 2):
            network = Masked(6)
            half = network.names[3:]
            return bared(both_secrets(network, network.names[:3], half), network.numbers[VICTIM])

    def lie(world, task):
        world.said("a", task)
        return replace(task, members=task.members[:4])

    return refused(lie, Exchange.SUPPORT_AGREE)


@attack(MASKS, "give every hospital mask keys that the hub made", rule="forged")
def keys_of_the_hub(guard):
    if not guard:
        network = Masked(5)
        mine = np.random.default_rng(0).bytes(32)
        for name in network.names[1:]:
            network.announced[name] = masks.announce(mine + name.encode(), PLACE)
        y = network.sent(VICTIM, network.names)
        for name in network.names[1:]:
            private = X25519PrivateKey.from_private_bytes(masks.derived(mine + name.encode(), "key", PLACE))
            seed = masks._pair_seed(private, network.announced[VICTIM].key, PLACE, TRANSCRIPT)
            y = masks._signed(y, masks.expand(seed, len(y)), plus=name < VICTIM)
        # The victim's pieces are sealed to keys of the hub's too, so it has the self-mask.
        seed = shamir.combine(network.told(VICTIM, network.names, of_key=False))
        return bared(ring.add(y, ring.negated(masks.expand(seed, len(y)))), network.numbers[VICTIM])

    def lie(world, task):
        keys = replace(peek(MaskKeys, task.sealed["b"], where=""), seal_key=bytes(32))
        forged = seal(keys, "mask-keys", Ed25519PrivateKey.generate())
        return replace(task, sealed={**task.sealed, "b": forged})

    return refused(lie, Exchange.SHARES)


@attack(MASKS, "leave keys of a neighbour out, so that its mask is missing", rule="masks")
def keys_left_out(guard):
    if not guard:
        network = Masked(5)
        y = network.sent(VICTIM, (VICTIM,))
        seed = shamir.combine(network.told(VICTIM, network.names, of_key=False))
        return bared(ring.add(y, ring.negated(masks.expand(seed, len(y)))), network.numbers[VICTIM])
    return refused(lambda _, t: replace(t, sealed=without(t.sealed, "b")), Exchange.SHARES)


@attack(MASKS, "a sum of one hospital", rule="masks")
def sum_of_one(guard):
    if not guard:
        network = Masked(5)
        network.holders = {VICTIM: (VICTIM,)}
        y = network.sent(VICTIM, (VICTIM,))
        seed = masks.derived(network.secrets[VICTIM], "self", PLACE)
        return bared(ring.add(y, ring.negated(masks.expand(seed, len(y)))), network.numbers[VICTIM])
    return refused(lambda _, t: replace(t, members=("a",)), Exchange.SUPPORT)


@attack(MASKS, "two sums of one run, one of them without the victim", rule="same-roster")
def two_sums(guard):
    if not guard:
        first, second = Masked(6), Masked(6)
        all_ = first.opened(first.names)
        fewer = second.opened(second.names[1:])
        return bared(ring.add(all_, ring.negated(fewer)), first.numbers[VICTIM])
    return refused(lambda _, t: replace(t, members=NAMES[:4]), Exchange.VALUES_AGREE)


@attack(MASKS, "values of fewer hospitals than their support", rule="same-roster")
def values_of_fewer(guard):
    if not guard:
        network = Masked(6)
        fewer = network.opened(network.names[1:])
        return bared(ring.add(network.opened(network.names), ring.negated(fewer)), network.numbers[VICTIM])
    return refused(lambda _, t: replace(t, members=NAMES[:4]), Exchange.VALUES)


@attack(MASKS, "masks of one round used again in the next", rule="masks")
def masks_used_again(guard):
    """Two vectors under one mask differ as the numbers do."""
    network = Masked(5)
    more = ring.add(network.numbers[VICTIM], ring.to_ring(np.full(5, 7), 0))
    first = network.sent(VICTIM, network.names)
    before, network.numbers[VICTIM] = network.numbers[VICTIM], more
    if guard:
        place = PLACE.replace("/0/0/", "/0/1/")
        announced = {n: masks.announce(s, place) for n, s in network.secrets.items()}
        others = {n: announced[n].key for n in network.names if n != VICTIM}
        second = masks.mask(
            more, network.secrets[VICTIM], place, me=VICTIM, others=others, transcript=TRANSCRIPT
        )
    else:
        second = network.sent(VICTIM, network.names)
    differ = ring.add(second, ring.negated(first))
    return replace(bared(differ, ring.add(more, ring.negated(before))), by={"masks"})


@attack(MASKS, "agreements of an earlier exchange, replayed", rule="masks")
def replayed_agreements(guard):
    if not guard:
        network = Masked(5)
        return bared(both_secrets(network, network.names, network.names), network.numbers[VICTIM])
    world = World()
    earlier = world.until(Exchange.SUPPORT_OPEN).sealed
    world.answer("a")
    task = replace(world.until(Exchange.VALUES_OPEN), sealed=earlier)
    try:
        world.said("a", task)
    except MaskRefused as problem:
        return Tried(success=False, figure="nothing", by={problem.rule})
    return Tried(success=True, figure="it tells its pieces")


@attack(MASKS, "agreements that the hub wrote", rule="forged")
def written_agreements(guard):
    if not guard:
        network = Masked(5)
        return bared(both_secrets(network, network.names, network.names), network.numbers[VICTIM])

    def lie(world, task):
        forged = seal(peek(Agreement, task.sealed["b"], where=""), "agreement", Ed25519PrivateKey.generate())
        return replace(task, sealed={**task.sealed, "b": forged})

    return refused(lie, Exchange.SUPPORT_OPEN)


@attack(MASKS, "pieces that were dealt to another hospital", rule="masks")
def pieces_of_another(guard):
    """Pieces in wrong places open a wrong sum; told back, they say what another was to keep."""
    if not guard:
        network = Masked(5)
        told = network.told(VICTIM, network.names, of_key=False)
        return Tried(success=shamir.combine(told) is not None, figure="another's pieces")
    return refused(
        lambda world, t: replace(t, sealed={**t.sealed, "b": world.run.setup.pieces["c"]["b"]}),
        Exchange.SUPPORT,
    )


@attack(
    MASKS,
    "a hospital deals pieces of another secret, so that the sum opens wrong",
    what=Class.DETECTED,
    rule="the hub",
)
def wrong_pieces(guard):
    network = Masked(5)
    other = np.random.default_rng(4).bytes(32)
    wrong = masks.deal(other, [PLACE], network.holders[VICTIM], threshold(5))
    network.pieces[VICTIM] = wrong
    truth = Masked(5).opened(network.names)
    if not guard:
        total = np.zeros_like(network.numbers[VICTIM])
        for name in network.names:
            total = ring.add(total, network.sent(name, network.names))
            seed = shamir.combine(network.told(name, network.names, of_key=False))
            total = ring.add(total, ring.negated(masks.expand(seed, len(total))))
        return Tried(success=bool((total != truth).any()), figure="a wrong sum")
    try:
        network.opened(network.names)
    except masks.BadPieces as problem:
        return Tried(success=False, figure=f"no sum; {problem} is named", by={"the hub"})
    return Tried(success=True, figure="a wrong sum")


@attack(MASKS, "c hospitals help the hub", what=Class.BOUNDED, rule="masks")
def collusion(guard):
    """Of twenty, six give the hub all they hold; a third is the bound. Off, a fifth of the hospitals is enough."""
    count, helpers = 20, 6
    limit = (lambda parties: parties // 5) if not guard else threshold
    with patch("tests.unit.guard.test_masks.threshold", limit):
        network = Masked(count)
        mine = network.names[-helpers:]
        near = network.holders[VICTIM]
        pieces = {
            kind: {
                at: masks.piece_of(network.pieces[VICTIM][name], 0, of_key=kind)
                for at, name in enumerate(near, 1)
                if name in mine
            }
            for kind in (False, True)
        }
        secrets = {kind: shamir.combine(held) for kind, held in pieces.items()}
        seed_right = (
            secrets[False] is not None
            and masks._commitment(secrets[False]) == network.announced[VICTIM].commitment
        )
    return Tried(
        success=seed_right, figure=f"{'both secrets' if seed_right else 'nothing'} with {helpers} of {count}",
        by={"masks"}, gain=helpers / count if seed_right else 0.0, bound=1 / 3,
    )  # fmt: skip


# runs and questions that no board signed

NODE = "runs that no board signed"


def trusting_run(offer, study_envelope, my_permit, directory, *, floor, now):
    """A node that believes whatever manifest it is offered."""
    manifest = decode(Manifest, offer.manifest, where="")
    permits = [peek(Permit, envelope, where="") for envelope in offer.permits]
    return Seated(
        manifest=manifest,
        digest=digest(offer.manifest),
        permit=peek(Permit, my_permit, where=""),
        study=peek(Study, study_envelope, where=""),
        node_keys={permit.hospital: permit.node_key for permit in permits},
        outside=frozenset(permit.hospital for permit in permits),
    )


def believed_permit(worker, offer):
    """The newest study offered, and whatever the hub says is this hospital's permit."""
    mine = next(one for one in offer.permits if peek(Permit, one, where="").hospital == "hanbit")
    return worker.journal.offers()[0].envelope, mine


def node(*patches):
    """A network with one real node, which lives as long as the stack."""
    stack = ExitStack()
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    for each in patches:
        stack.enter_context(each)
    network = Network(Path(folder) / "node", rules=Rules(), provenance=Provenance.REAL)
    stack.callback(network.link.close)
    stack.callback(network.journal.close)
    return stack, network


def node_lie(guard, lie):
    """The hub offers a run that isn't the boards'; success is a seat taken in it."""
    patches = ()
    if not guard:
        patches = (
            patch("dure.govern.permit.judge_run", trusting_run),
            patch("dure.node.worker.Worker._my_permit", believed_permit),
        )
    stack, network = node(*patches)
    with stack:
        network.permitted()
        network.hub.compose()
        network.hub.lie = lambda answer: lie(network, answer) if answer.runs else answer
        network.turn()
        seat = network.journal.seat("run-1") is not None
        rules = {one.rule for one in network.journal.given("run-1") if one.rule}
        told = " ".join(network.worker._told)
    if "lists no member" in told:
        rules.add("untrusted")
    if "rests on no permit" in told:
        rules.add("not-permitted")
    return Tried(success=seat, figure="it takes its seat" if seat else "no seat", by=rules)


def run_lie(name, title, rule="not-permitted"):
    def run(guard):
        return node_lie(guard, hostile.RUN_LIES[name])

    run.__name__ = "run_" + title.split(":")[0].replace(" ", "_").replace("'", "")
    attack(NODE, f"a run with {name}", rule=rule)(run)


for each, short in (
    ("weaker rules in the manifest", "weaker rules"),
    ("another mode in the manifest", "another mode"),
    ("another layout in the manifest", "another layout"),
    ("another study in the manifest", "another study"),
    ("a permit signed by another key", "forged permit"),
    ("my permit with weaker rules, forged", "forged weaker permit"),
    ("a roster of this hospital alone", "roster of one"),
):
    run_lie(each, short)
run_lie("a hospital that the root doesn't list", "sybil hospitals", "untrusted")


def trusting_task(seated, task, *, rounds_spent, now):
    steps = kind_of(seated.study.question).steps(seated.study.question)
    return steps[task.position.step % len(steps)]


def task_lie(guard, change):
    """The hub asks what the permit doesn't cover; success is an answer computed."""
    patches = ()
    if not guard:
        patches = (
            patch("dure.govern.permit.judge_task", trusting_task),
            patch("dure.node.seat.judge_turn", lambda *a, **k: None),
        )
    stack, network = node(*patches)
    with stack:
        network.permitted()
        network.hub.compose()
        network.until(Exchange.SUPPORT)
        network.hub.lie = lambda answer: replace(
            answer, tasks=tuple(change(network, task) for task in answer.tasks)
        )
        network.hub._answer = lambda envelope: network.hub.answers.append((envelope, envelope))
        network.turn()
        computed = len(network.workshop.jobs)
        rules = {one.rule for one in network.journal.given("run-1") if one.rule}
    return Tried(success=computed > 0, figure="it computes" if computed else "nothing", by=rules)


def ask(name, rule):
    def run(guard):
        return task_lie(guard, hostile.TASK_LIES[name][0])

    run.__name__ = "ask_" + name.replace(" ", "_").replace("'", "")
    attack(NODE, f"a task with {name}", rule=rule)(run)


for each in (
    "a state that cutting never reaches",
    "a first round that doesn't begin at the beginning",
    "an extra round",
    "a round left out",
    "values before their support",
):
    ask(each, hostile.TASK_LIES[each][1])


@attack(NODE, "a second run under one permit, with another roster", rule="not-permitted")
def second_run(guard):
    patches = () if guard else (patch("dure.node.journal.Journal.runs_answered", lambda *_: set()),)
    stack, network = node(*patches)
    with stack:
        network.permitted()
        network.hub.compose()
        network.turns()
        network.hub.compose()
        network.turn()
        seat = network.journal.seat("run-2") is not None
        rules = {one.rule for one in network.journal.given("run-2") if one.rule}
    return Tried(success=seat, figure="two sums" if seat else "one sum", by=rules)


@attack(NODE, "values asked again at one position, with all cells open", rule="the journal")
def widened_cells(guard):
    """Off, what was answered is forgotten."""
    patches = () if guard else (patch("dure.node.journal.Journal.given", lambda *_: []),)
    stack, network = node(
        *patches, *(() if guard else (patch("dure.node.seat.judge_turn", lambda *a, **k: None),))
    )
    with stack:
        network.permitted()
        network.hub.compose()
        task = network.until(Exchange.SUPPORT)
        network.hub.lie = lambda answer: replace(answer, tasks=(task,))
        network.turn()
        first = len(network.workshop.jobs)
        other = replace(task, state=hostile.another_state(network, task).state)
        network.hub.lie = lambda answer: replace(answer, tasks=(other,))
        network.hub._answer = lambda envelope: None
        with ExitStack() as inner:
            if not guard:
                inner.enter_context(patch("dure.govern.permit.judge_task", trusting_task))
                network.journal._db.execute("DELETE FROM answer")
            network.turn()
        more = len(network.workshop.jobs) - first
    return Tried(success=more > 0, figure=f"{more} answers more", by={"the journal"})


@attack(NODE, "a study that the hub signed in the asker's name", rule="forged")
def forged_asker(guard):
    from dure.govern import permit as permits

    def trusting(envelope, directory, *, now, where):
        return peek(Study, envelope, where=where)

    patches = () if guard else (patch.object(permits, "verify_study", trusting),)
    stack, network = node(*patches)
    with stack:
        honest = network.sealed_directory()
        network.asker = Ed25519PrivateKey.generate()
        sealed = network.hub.offer(network.study())
        network.sealed_directory = lambda: honest
        network.turns()
        (offer,) = network.journal.offers()
        assert offer.study == sealed.digest
        refused_ = bool(offer.fault)
    return Tried(
        success=not refused_,
        figure="put before the board" if not refused_ else "not put before the board",
        by={"forged"},
    )


def directory_lie(guard, made):
    """The hub shows a directory; success is that the node takes it for the newest."""
    from dure.node import trust

    def trusting(envelope, *, root, now, least_version, where):
        return peek(Directory, envelope, where=where)

    patches = () if guard else (patch.object(trust, "open_directory", trusting),)
    stack, network = node(*patches)
    with stack:
        network.version = 5
        network.turns()
        lied = made(network)
        network.hub.lie = lambda answer: replace(answer, directory=lied)
        network.turn()
        known = network.journal.fact("directory")
        believed = (known is not None and lied.payload in known) or network.worker.trust.version != 5
    return Tried(
        success=bool(believed),
        figure="it is believed" if believed else "not believed",
        by={"untrusted", "forged"},
    )


@attack(NODE, "an old directory, in which a removed hospital stands", rule="untrusted")
def old_directory(guard):
    def made(network):
        network.version = 4
        sealed = network.sealed_directory()
        network.version = 5
        return sealed

    return directory_lie(guard, made)


@attack(NODE, "a directory that the hub signed itself", rule="forged")
def directory_of_the_hub(guard):
    return directory_lie(
        guard, lambda network: seal(network.directory(version=9), "directory", Ed25519PrivateKey.generate())
    )


@attack(NODE, "an expired directory", rule="untrusted")
def expired_directory(guard):
    return directory_lie(
        guard,
        lambda network: seal(
            network.directory(version=9, expires=network.clock() - timedelta(seconds=1)),
            "directory",
            network.root,
        ),
    )
