"""The worker: what a node makes of one poll's answer, as steps that can be tested one by one.

Responsible for: verifying before anything is computed, the gate before anything is kept to be sent, and one transaction
for an answer and all that follows from it. Not responsible for: the network (`hub_link`, `courier`), time between polls
(`loop`), the checks themselves (`dure.govern.permit`, `seat`, `dure.guard.gate`).
"""

import logging
import secrets
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.node.config import AutoSign, NodeConfig
from dure.node.courier import BY_HAND
from dure.node.journal import Journal
from dure.node.trust import Trust
from dure.wire.by_hand import Halves
from dure.wire.codec import Malformed, decode, digest, encode
from dure.wire.directory import Directory, Member, Untrusted, seal_key
from dure.wire.envelope import Envelope, peek, public_text, seal
from dure.wire.messages import (
    Acceptance,
    Contribution,
    Exchange,
    Manifest,
    PollAnswer,
    Refusal,
    RunOffer,
    StudyOffer,
    Task,
)
from dure.wire.problems import Problem

if TYPE_CHECKING:
    from dure.govern.permit import Seated
    from dure.node.answering import Computing
    from dure.study.protocol.player import Player
    from dure.study.spec import Study

ANSWERS = "/v1/node/answers"
SECRET_BYTES = 32
NOT_PERMITTED = "not-permitted"
PATIENCE_SECONDS = 5.0
"""A letter that the hub took and still asks for is sent again after this long, not at once."""
log = logging.getLogger("dure.node")


class Worker:
    """One node at work.

    Args:
        computing: has answers computed and passed through the gate; made at first need, since it needs large libraries.
        board_key: gives the board's private key for the standing yes, or None where a person signs.
    """

    def __init__(
        self,
        *,
        config: NodeConfig,
        journal: Journal,
        node_key: Ed25519PrivateKey,
        computing: "Callable[[], Computing]",
        clock: Callable[[], datetime],
        board_key: Callable[[], Ed25519PrivateKey | None] = lambda: None,
    ) -> None:
        self.config = config
        self.journal = journal
        self.node_key = node_key
        self.computing = computing
        self.clock = clock
        self.board_key = board_key
        self.trust = Trust(config, journal, public_text(node_key))
        self._seats: dict[str, Seated] = {}
        self._again: dict[int, float] = {}
        self._told: set[str] = set()

    def hear(self, answer: PollAnswer) -> bool:
        """Do all that a poll's answer asks for and may ask for; whether anything new came of it.

        Raises:
            Untrusted: there is no directory to hold anything against.
            DiskFull: the journal can't be written.
        """
        news = False
        if answer.directory is not None:
            try:
                news = self.trust.learn(answer.directory, now=self.clock())
                if news:
                    log.info("directory version %d", self.trust.version)
                    self._seats.clear()
            except Problem as problem:
                self._tell(f"directory refused: {problem.what}")
        directory = self.trust.directory(now=self.clock())
        self.trust.me(directory)
        for offer in answer.offers:
            news |= self._guarded("offer", partial(self.hear_offer, offer, directory))
        runs = self._runs(answer.runs)
        for task in answer.tasks:
            about = f"task of run {task.run}"
            news |= self._guarded(about, partial(self.hear_task, task, runs.get(task.run), directory))
        if answer.closed:
            with self.journal.writing():
                self.journal.close_all(answer.closed)
        return news

    def hear_offer(self, offer: StudyOffer, directory: Directory) -> bool:
        """Keep an offer for the board, and sign it if the standing yes covers it. Whether it is new."""
        study_digest = offer.study.digest
        decision = self.journal.decision(study_digest)
        if decision is not None:
            self._send_again_about(decision.payload)
            return False
        known = self.journal.offer(study_digest)
        basis = self._basis()
        if known is not None and not known.closed and known.judged == basis:
            return False
        from dure.govern.permit import verify_study

        study, fault = None, ""
        try:
            study = verify_study(offer.study, directory, now=self.clock(), where="study")
        except Problem as problem:
            fault = problem.what
        if known is None or known.fault != fault or known.closed:
            with self.journal.writing():
                self.journal.add_offer(offer.study, fault=fault, now=self.clock())
            log.info("request %s: %s", study_digest, fault or "waits for the board")
        if study is None:
            return known is None
        from dure.node.decision import fits

        rule = self.config.auto_sign
        if rule is not None and fits(rule, study):
            return self._sign_by_rule(study_digest, offer.study) or known is None
        with self.journal.writing():
            self.journal.mark_judged(study_digest, basis)
        return known is None

    def _basis(self) -> str:
        """What a request was judged by: while it is the same, so is the judgement, and nothing large need be loaded."""
        return f"{self.trust.version} {digest(encode(self.config.auto_sign, AutoSign | None))}"

    def _sign_by_rule(self, study_digest: str, envelope: Envelope) -> bool:
        from dure.node.signing import sign

        key = self.board_key()
        if key is None:
            self._tell("the standing yes needs the board key, without a passphrase, on this machine")
            return False
        sign(
            envelope,
            self.config,
            self.journal,
            self.trust.directory(now=self.clock()),
            key,
            rules=None,
            consent_by_hospital=True,
            who="rule",
            now=self.clock(),
        )
        log.info("request %s: signed by the standing yes", study_digest)
        return True

    def hear_task(self, task: Task, offer: RunOffer | None, directory: Directory) -> bool:
        """Answer a task, refuse it, or leave it; whether an answer was made."""
        given = self.journal.given(task.run)
        for one in given:
            if one.position == task.position:
                if one.task == digest(encode(task)):
                    self._send_again(one.letter)
                else:
                    self._tell(
                        f"run {task.run}: another question at a position that was answered; left alone"
                    )
                return False
        if task.position.exchange is Exchange.ACCEPT:
            return self._take_seat(task, offer, directory)
        seated = self._seated(task.run, directory)
        if seated is None:
            self._tell(f"run {task.run}: no seat was taken; left alone")
            return False
        return self._answer(seated, task)

    # seats

    def _take_seat(self, task: Task, offer: RunOffer | None, directory: Directory) -> bool:
        mine = None if offer is None else self._my_permit(offer)
        if offer is None or mine is None:
            self._tell(f"run {task.run}: it rests on no permit of this hospital; left alone")
            return False
        from dure.study.spec import Study

        study, permit = mine
        try:
            seated = self._judge_run(task, offer, study, permit, directory)
        except Untrusted:
            raise
        except Problem as problem:
            log.warning("run %s: seat refused: %s", task.run, problem.what)
            asked = peek(Study, study, where="study")
            self._refuse(task, permit.digest, NOT_PERMITTED, problem.what, door=_door(asked))
            return True
        acceptance = Acceptance(run=task.run, manifest=task.manifest, hospital=self.config.hospital)
        with self.journal.writing():
            self.journal.take_seat(
                task.run, seated.manifest.study, permit.digest, encode(offer), now=self.clock()
            )
            sealed = seal(acceptance, "acceptance", self.node_key)
            letter = self._write(sealed, f"seat in run {task.run}", door=_door(seated.study))
            self.journal.give(task, permit.digest, numbers=0, rule="", letter=letter, now=self.clock())
        self._seats[task.run] = seated
        log.info("run %s: seat taken for study %s", task.run, seated.manifest.study)
        return True

    def _judge_run(
        self, task: Task, offer: RunOffer, study: Envelope, permit: Envelope, directory: Directory
    ) -> "Seated":
        from dure.govern.permit import NotPermitted, judge_run

        seated = judge_run(offer, study, permit, directory, floor=self.config.rules, now=self.clock())
        if (seated.manifest.run, seated.digest) != (task.run, task.manifest):
            raise NotPermitted(
                "The task names another manifest.", where=f"run {task.run}", mend="Nothing to do here."
            )
        if self.journal.runs_answered(permit.digest) - {task.run}:
            raise NotPermitted(
                "Numbers have left under this permit in another run.",
                where=f"run {task.run}",
                mend="Submit the study again.",
            )
        return seated

    def _my_permit(self, offer: RunOffer) -> tuple[Envelope, Envelope] | None:
        """The study and this hospital's own permit in a run, both as this node keeps them; None if it isn't ours."""
        try:
            manifest: Manifest = decode(Manifest, offer.manifest, where="manifest")
        except Malformed:
            return None
        decision, study = self.journal.decision(manifest.study), self.journal.offer(manifest.study)
        if decision is None or not decision.yes or study is None:
            return None
        if decision.payload not in {permit.digest for permit in offer.permits}:
            return None
        return study.envelope, decision.envelope

    def _seated(self, run: str, directory: Directory) -> "Seated | None":
        """The seat taken in a run, judged again after a restart."""
        if run not in self._seats:
            kept = self.journal.seat(run)
            if kept is None:
                return None
            offer: RunOffer = decode(RunOffer, kept, where="journal")
            mine = self._my_permit(offer)
            if mine is None:
                return None
            from dure.govern.permit import judge_run

            self._seats[run] = judge_run(offer, *mine, directory, floor=self.config.rules, now=self.clock())
        return self._seats[run]

    def _runs(self, offers: tuple[RunOffer, ...]) -> dict[str, RunOffer]:
        runs: dict[str, RunOffer] = {}
        for offer in offers:
            try:
                manifest: Manifest = decode(Manifest, offer.manifest, where="manifest")
                runs[manifest.run] = offer
            except Malformed as problem:
                self._tell(f"a run's manifest is malformed: {problem.what}")
        return runs

    # answers

    def _answer(self, seated: "Seated", task: Task) -> bool:
        from dure.govern.permit import judge_task
        from dure.guard.register import LAWFUL_STATE
        from dure.node.seat import judge_turn
        from dure.stats.base import BadState

        permit = next(seat.permit for seat in seated.manifest.roster if seat.hospital == self.config.hospital)
        try:
            step = judge_task(
                seated, task, rounds_spent=self.journal.rounds_spent(permit, besides=task), now=self.clock()
            )
            judge_turn(seated, task, self.journal.given(task.run), step, self._releases(task.run))
            player = self._player(seated)
            if player is not None and player.asked_by(task):
                return self._shake_hands(player, task, permit)
            result = self.computing().answer(seated, task, step, now=self.clock())
            if result is None:
                return False
            message: Contribution | Halves | Refusal = result.message
            if player is not None and isinstance(message, Contribution):
                message = player.over(task, message)
            elif seated.aggregator is not None and isinstance(message, Contribution):
                message = self._halved(seated, seated.aggregator, message)
        except Problem as problem:
            rule = LAWFUL_STATE.id if isinstance(problem, (BadState, Malformed)) else NOT_PERMITTED
            rule = getattr(problem, "rule", None) or rule
            log.warning("run %s: task refused: %s", task.run, problem.what)
            self._refuse(task, permit, rule, problem.what, door=_door(seated.study))
            return True
        kind = type(message).__name__.lower()
        numbers = 0 if isinstance(result.message, Refusal) else len(result.message.numbers)
        rule = message.rule if isinstance(message, Refusal) else ""
        sealed = seal(message, kind, self.node_key)
        with self.journal.writing():
            letter = self._write(
                sealed, f"{kind} to run {task.run}, {_place(task)}", door=_door(seated.study)
            )
            self.journal.give(task, permit, numbers=numbers, rule=rule, letter=letter, now=self.clock())
            result.keep(self.journal, self.clock())
            if player is not None:
                self.journal.keep_party(task.run, encode(player.party))
        log.info(
            "run %s, %s: %s", task.run, _place(task), f"withheld by {rule}" if rule else f"{numbers} bytes"
        )
        return True

    def _halved(self, seated: "Seated", body: Member, message: Contribution) -> Halves:
        """A contribution as two shares, for the asker and for the second body; neither alone says anything."""
        from dure.study.protocol.by_hand import halve

        by_hand = seated.study.by_hand
        assert by_hand is not None
        assert body.seal_key is not None
        return halve(
            message,
            secret=secrets.token_bytes(SECRET_BYTES),
            asker=(seated.study.asker, by_hand.collector_key),
            aggregator=(body.id, seal_key(body.seal_key)),
        )

    def _player(self, seated: "Seated") -> "Player | None":
        """This hospital's part in the run's masked sums, as the journal remembers it; None where there are no masks."""
        if not seated.manifest.masked:
            return None
        from dure.study.protocol.party import Party
        from dure.study.protocol.player import Player, table

        remembered = self.journal.party(seated.manifest.run)
        at_table = table(
            seated.manifest,
            seated.study,
            me=self.config.hospital,
            key=self.node_key,
            node_keys=seated.node_keys,
            outside=seated.outside,
        )
        return Player(at_table, None if remembered is None else decode(Party, remembered, where="journal"))

    def _shake_hands(self, player: "Player", task: Task, permit: str) -> bool:
        """A word on masks. What it decides is kept in the same transaction, before the word can leave."""
        said = player.word(task, secret=secrets.token_bytes(SECRET_BYTES))
        sealed = seal(said, "handshake", self.node_key)
        with self.journal.writing():
            letter = self._write(sealed, f"handshake in run {task.run}, {_place(task)}")
            self.journal.give(task, permit, numbers=0, rule="", letter=letter, now=self.clock())
            self.journal.keep_party(task.run, encode(player.party))
        log.info("run %s, %s: said", task.run, _place(task))
        return True

    def _releases(self, run: str) -> Callable[[int], tuple[Contribution, ...]]:
        """This hospital's own releases in a run, by the number of their step."""

        def of_step(step: int) -> tuple[Contribution, ...]:
            return tuple(
                peek(Contribution, decode(Envelope, body, where="journal"), where="journal")
                for body in self.journal.releases(run, step)
            )

        return of_step

    def _refuse(self, task: Task, permit: str, rule: str, reason: str, *, door: str) -> None:
        refusal = Refusal(
            run=task.run,
            manifest=task.manifest,
            hospital=self.config.hospital,
            position=task.position,
            rule=rule,
            reason=reason,
        )
        with self.journal.writing():
            sealed = seal(refusal, "refusal", self.node_key)
            letter = self._write(sealed, f"refusal to run {task.run}, {_place(task)}", door=door)
            self.journal.give(task, permit, numbers=0, rule=rule, letter=letter, now=self.clock())

    def _write(self, sealed: Envelope, about: str, *, door: str = ANSWERS) -> int:
        return self.journal.write_letter(door, encode(sealed), about=about, now=self.clock())

    # repeats

    def _send_again(self, letter: int) -> None:
        """The hub asks for what it was sent: the same bytes, but not in a hurry."""
        now = time.monotonic()
        if now - self._again.get(letter, float("-inf")) < PATIENCE_SECONDS:
            return
        self._again[letter] = now
        with self.journal.writing():
            self.journal.send_again(letter)

    def _send_again_about(self, payload: str) -> None:
        letter = self.journal.letter_about(f"decision {payload}")
        if letter is not None:
            self._send_again(letter)

    def _guarded(self, about: str, step: Callable[[], bool]) -> bool:
        """One step, whose Problem stops no other."""
        try:
            return step()
        except Untrusted as problem:
            self._tell(f"{about} waits: {problem.what}")
        except Problem as problem:
            if problem.slug == "disk-full":
                raise
            self._tell(f"{about} refused: {problem.what}")
        return False

    def _tell(self, line: str) -> None:
        """A warning, once."""
        if line not in self._told:
            self._told.add(line)
            log.warning("%s", line)


def _door(study: "Study") -> str:
    """Where an answer goes: to the hub, or into a file that is carried."""
    return ANSWERS if study.by_hand is None else BY_HAND


def _place(task: Task) -> str:
    return f"step {task.position.step} round {task.position.round} {task.position.exchange.value}"
