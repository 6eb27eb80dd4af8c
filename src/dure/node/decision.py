"""A board's decision: the permit or the decline that answers a request, and the standing yes.

Responsible for: what a permit of this hospital says. Not responsible for: who presses the button, keys (`keys`),
whether the study is genuine (`dure.govern.permit`).
"""

from datetime import datetime

from dure.govern.policy import judge
from dure.node.budget import Purse
from dure.node.config import AutoSign, NodeConfig
from dure.node.problems import NotSignable
from dure.study.kinds import kind_of
from dure.study.protocol.noised import cost, objection
from dure.study.protocol.noised import rounds as rounds_of
from dure.study.spec import Study
from dure.wire.directory import Directory, Role
from dure.wire.envelope import fingerprint
from dure.wire.messages import Decline, Permit, Provenance
from dure.wire.rules import Mode, Rules


def permit(
    digest: str,
    study: Study,
    directory: Directory,
    config: NodeConfig,
    *,
    dataset_version: str,
    rules: Rules | None,
    consent_by_hospital: bool,
    now: datetime,
    spent: float = 0.0,
) -> Permit:
    """The permit for a verified study, bound to its digest as it was received.

    Args:
        rules: stricter than the node's own, or None for those.
        spent: of the budget for noised answers.

    Raises:
        NotSignable: weaker rules, no consent to `by_hospital`, a forbidden purpose, too late, this hospital isn't
            asked or isn't listed, its numbers can't carry the noise that the rules want or the budget is spent.
        NoiseMissing: the rules want noise, and this machine can't add it.
    """
    here = f"study {digest}"
    me = directory.member(config.hospital, where="directory")
    mine = rules or config.rules
    reason = _fault(study, config, mine, consent_by_hospital, now) or _noise_fault(
        study, directory, mine, Purse(budget=config.budget, spent=spent)
    )
    if reason is not None:
        raise NotSignable(reason[0], where=here, mend=reason[1])
    asker = directory.member(study.asker, where=here)
    if me.board_key != config.board_key or me.node_key is None or asker.asker_key is None:
        raise NotSignable(
            "The directory lists another board key than this hospital's.",
            where=f"directory, {config.hospital}",
            mend=f"Read {fingerprint(config.board_key)} to the root; it lists the key.",
        )
    return Permit(
        study=digest,
        asker=asker.id,
        asker_key=asker.asker_key,
        hospital=config.hospital,
        node_key=me.node_key,
        epoch=me.epoch,
        dataset_version=dataset_version,
        provenance=config.provenance,
        mode=study.mode,
        rules=mine,
        rounds=rounds(study),
        issued=now,
        expires=study.expires,
    )


def _fault(
    study: Study, config: NodeConfig, rules: Rules, consent: bool, now: datetime
) -> tuple[str, str] | None:
    """Why it can't be signed, and what to do."""
    fired = judge(study)
    if fired:
        return f"The network's negative list forbids it: {fired[0].reason}", "Decline it."
    if not rules.at_least(config.rules):
        return "The rules given are weaker than this hospital's own.", "Give stricter ones, or none."
    if rules.off and config.provenance is Provenance.REAL:
        return "Rules can't be off for real data.", "Give least_people of 2 or more."
    if study.mode is Mode.BY_HOSPITAL and not consent:
        return (
            "It asks for this hospital's own numbers, which needs an explicit yes.",
            "Add --consent-by-hospital, or decline.",
        )
    if now >= study.closes:
        return f"It was open until {study.closes:%Y-%m-%d %H:%M} UTC.", "Ask the asker to submit it again."
    if study.hospitals and config.hospital not in study.hospitals:
        return "It doesn't ask this hospital.", "Nothing to do here."
    return None


def asked(study: Study, directory: Directory) -> int:
    """How many hospitals a study asks: the most that its run will have."""
    return len(study.hospitals) or sum(member.role is Role.HOLDER for member in directory.members)


def _noise_fault(study: Study, directory: Directory, rules: Rules, purse: Purse) -> tuple[str, str] | None:
    """What noise has against signing, and what to do."""
    if rules.noise is None:
        return None
    if study.mode is Mode.BY_HOSPITAL:
        return "Only totals carry noise; it asks for this hospital's own numbers.", "Decline it."
    if study.by_hand is not None:
        return (
            "What is carried by hand has no noise: nobody could tell that enough shares are in it.",
            "Decline it.",
        )
    hospitals = asked(study, directory)
    against = objection(study.question, rules.noise, hospitals)
    if against is not None:
        return against, "Decline it, or ask for less noise in node.yaml."
    refused = purse.refusal(cost(study.question, rules.noise, hospitals))
    return None if refused is None else (refused, "Decline it, or give a larger budget in node.yaml.")


def rounds(study: Study) -> int:
    """The rounds of one run of a study: no second run fits."""
    return rounds_of(study.question)


def decline(digest: str, config: NodeConfig, reason: str, *, now: datetime) -> Decline:
    """The no to a study. The asker is shown `reason`."""
    return Decline(study=digest, hospital=config.hospital, reason=reason, issued=now)


def fits(rule: AutoSign, study: Study) -> bool:
    """Whether the standing yes covers a verified study, whose asker the directory lists therefore."""
    return (
        kind_of(study.question).name in rule.kinds
        and study.purpose.value in rule.purposes
        and study.mode in rule.modes
        and study.asker in rule.askers
    )
