"""A board's decision: the permit or the decline that answers a request, and the standing yes.

Responsible for: what a permit of this hospital says. Not responsible for: who presses the button, keys (`keys`),
whether the study is genuine (`dure.govern.permit`).
"""

from datetime import datetime

from dure.govern.policy import judge
from dure.node.config import AutoSign, NodeConfig
from dure.node.problems import NotSignable
from dure.study.kinds import kind_of
from dure.study.spec import Study
from dure.wire.directory import Directory
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
) -> Permit:
    """The permit for a verified study, bound to its digest as it was received.

    Args:
        rules: stricter than the node's own, or None for those.

    Raises:
        NotSignable: weaker rules, no consent to `by_hospital`, a forbidden purpose, too late, this hospital isn't
            asked or isn't listed.
    """
    here = f"study {digest}"
    me = directory.member(config.hospital, where="directory")
    mine = rules or config.rules
    reason = _fault(study, config, mine, consent_by_hospital, now)
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


def rounds(study: Study) -> int:
    """The rounds of one run of a study: no second run fits."""
    steps = kind_of(study.question).steps(study.question)
    return sum(step.statistic.rounds(step.params) for step in steps)


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
