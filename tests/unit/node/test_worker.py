"""One node and an honest hub: from an offer to the last answer, through crashes and repeats."""

import httpx
import pytest

from dure.node.config import AutoSign
from dure.node.problems import HubUnreachable, NoSuchRequest
from dure.study.protocol.batch import HANDSHAKES
from dure.study.protocol.run import Stage
from dure.study.spec import Purpose
from dure.wire.codec import encode
from dure.wire.messages import Acceptance, Contribution, Exchange, Handshake, Refusal
from dure.wire.rules import Mode


def test_a_permitted_study_is_answered_to_its_end(network):
    network.permitted()
    network.hub.compose()
    network.turns()
    assert network.hub.run.stage is Stage.DONE
    contributions, words = network.sent(Contribution), network.sent(Handshake)
    assert {one.position.exchange for one in contributions} == {Exchange.SUPPORT, Exchange.VALUES}
    assert {one.position.exchange for one in words} == set(HANDSHAKES)
    assert len(contributions) + len(words) == len(network.hub.answers) - 1
    assert network.sent(Refusal) == []


def test_nothing_is_signed_without_a_person(network):
    network.hub.offer(network.study())
    network.turns()
    assert network.journal.decision(network.hub.study.digest) is None
    assert network.hub.permits == {}


def test_the_permit_is_bound_to_the_bytes_that_came(network):
    network.hub.offer(network.study())
    network.turns()
    permit = network.sign()
    assert permit.study == network.hub.study.digest
    assert permit.rules == network.config.rules
    assert permit.dataset_version == "v1"
    with pytest.raises(NoSuchRequest):
        network.sign()


@pytest.mark.parametrize(
    ("rule", "signs"),
    [
        ({}, True),
        ({"kinds": ("incidence",)}, False),
        ({"purposes": ("research",)}, False),
        ({"modes": (Mode.BY_HOSPITAL,)}, False),
        ({"askers": ("insurer",)}, False),
        ({"askers": ()}, False),
    ],
)
def test_the_standing_yes_signs_only_what_fits_every_list(network, rule, signs):
    lists = {
        "kinds": ("distribution",),
        "purposes": ("safety",),
        "modes": (Mode.TOTAL,),
        "askers": ("maker",),
    }
    object.__setattr__(network.config, "auto_sign", AutoSign(**{**lists, **rule}))
    network.hub.offer(network.study())
    network.turns()
    assert ("hanbit" in network.hub.permits) is signs
    if signs:
        assert network.journal.decision(network.hub.study.digest).who == "rule"


def test_the_standing_yes_never_signs_for_an_asker_that_the_directory_does_not_list(network):
    lists = {"kinds": ("distribution",), "purposes": ("safety",), "modes": (Mode.TOTAL,)}
    object.__setattr__(network.config, "auto_sign", AutoSign(**lists, askers=("stranger",)))
    network.hub.offer(network.study(asker="stranger"))
    network.turns()
    assert network.hub.permits == {}
    assert "lists no member 'stranger'" in network.journal.offers()[0].fault


def test_a_forbidden_purpose_is_never_signed_by_the_standing_yes(network):
    lists = {"kinds": ("distribution",), "purposes": ("advertising",), "modes": (Mode.TOTAL,)}
    object.__setattr__(network.config, "auto_sign", AutoSign(**lists, askers=("maker",)))
    network.hub.offer(network.study(purpose=Purpose.ADVERTISING))
    network.turns()
    assert network.hub.permits == {}


def test_every_crash_between_two_steps_loses_and_repeats_nothing(network):
    """After every single turn the node starts anew from its folder."""
    network.permitted()
    network.hub.compose()
    while network.turn():
        network.boot()
    assert network.hub.run.stage is Stage.DONE
    events = [event for event, _ in network.hub.answers]
    assert len(events) == len({encode(event) for event in events})


def test_an_answer_whose_receipt_was_lost_goes_again_as_the_same_bytes(network):
    network.permitted()
    network.hub.compose()
    network.until(Exchange.SUPPORT)
    network.hub.fail_after_taking = True
    with pytest.raises(HubUnreachable):
        network.turn()
    jobs = len(network.workshop.jobs)
    network.boot()
    network.turns()
    assert network.hub.run.stage is Stage.DONE
    envelopes = [encode(envelope) for _, envelope in network.hub.answers]
    assert len(envelopes) - len(set(envelopes)) == 1
    assert jobs == 1


def test_an_answer_the_hub_forgot_is_sent_again_and_not_computed_again(network):
    network.permitted()
    network.hub.compose()
    network.until(Exchange.SUPPORT)
    before = network.hub.run
    others = {name: player.party for name, player in network.hub.players.items()}
    network.turn()
    jobs, (_, first) = len(network.workshop.jobs), network.hub.answers[-1]
    network.hub.run = before
    for name, party in others.items():
        network.hub.players[name].party = party
    count = len(network.hub.answers)
    network.turn()
    assert len(network.hub.answers) == count + 1
    assert encode(network.hub.answers[-1][1]) == encode(first)
    assert len(network.workshop.jobs) == jobs
    network.turns()
    assert network.hub.run.stage is Stage.DONE


def test_a_repeat_of_a_question_gets_the_stored_numbers(network):
    network.permitted()
    network.hub.compose()
    network.turns()
    first = [one.numbers for one in network.sent(Contribution)]
    results = [outcome.result for outcome in network.hub.run.outcomes]
    jobs = len(network.workshop.jobs)
    network.hub.permits, network.hub.run = {}, None
    network.permitted(network.study(nonce="2", title="The same again"))
    network.hub.compose()
    network.turns()
    assert network.hub.run.stage is Stage.DONE
    assert [outcome.result for outcome in network.hub.run.outcomes] == results
    assert len(network.workshop.jobs) == jobs
    again = [one.numbers for one in network.sent(Contribution)][len(first) :]
    assert len(again) == len(first)
    assert not set(again) & set(first), "the same numbers leave under other masks"


def test_populations_shown_by_hospital_are_kept_and_a_small_difference_is_refused(network):
    study = network.study(mode=Mode.BY_HOSPITAL)
    network.permitted(study)
    network.hub.compose()
    network.turns()
    assert network.hub.run.stage is Stage.DONE
    assert [one.by_hospital for one in network.journal.populations()] == [True]
    network.frame = type(network.frame)(
        person=network.frame.person[:-3], columns={"value": network.frame.columns["value"][:-3]}
    )
    network.boot()
    network.hub.permits, network.hub.run = {}, None
    other = type(study.question)(cohort=study.question.cohort, variable="age", bins=9)
    network.permitted(network.study(mode=Mode.BY_HOSPITAL, question=other, nonce="2"))
    network.hub.compose()
    network.turns()
    (refusal,) = network.sent(Refusal)
    assert refusal.rule == "small-difference"
    assert not any(character.isdigit() for character in refusal.reason)


def test_in_total_populations_are_kept_with_their_hospitals(network):
    network.permitted()
    network.hub.compose()
    network.turns()
    kept = network.journal.populations()
    assert [one.ref for one in kept] == [f"run-1/{step}/everyone" for step in range(3)]
    assert {one.size for one in kept} == {1000}
    assert {one.members for one in kept} == {("bora", "choi", "hanbit")}
    assert not any(one.by_hospital for one in kept)


def second_total(network, without, named):
    """The same question once more, over people of whom some are gone, with what the hub names of the first."""
    network.permitted()
    network.hub.compose()
    network.turns()
    kept = len(network.frame.person) - without
    network.frame = type(network.frame)(
        person=network.frame.person[:kept], columns={"value": network.frame.columns["value"][:kept]}
    )
    network.boot()
    network.hub.permits, network.hub.run = {}, None
    other = type(network.hub.question.question)(
        cohort=network.hub.question.question.cohort, variable="age", bins=9
    )
    network.permitted(network.study(question=other, nonce="2"))
    network.hub.past = network.hub_refs() if named else ()
    network.hub.compose()
    network.turns()
    return [outcome.withheld for outcome in network.hub.run.outcomes]


@pytest.mark.parametrize(("without", "withheld"), [(0, False), (3, True), (11, False)])
def test_in_total_the_network_withholds_a_small_difference(network, without, withheld):
    why = second_total(network, without, named=True)
    assert [found is not None for found in why] == [withheld] * 3
    assert not withheld or {found.rule for found in why} == {"small-difference"}
    assert network.sent(Refusal) == []


def test_in_total_a_hospital_refuses_a_small_difference_that_the_hub_does_not_name(network):
    second_total(network, 3, named=False)
    (refusal,) = network.sent(Refusal)
    assert refusal.rule == "small-difference"


def test_in_total_the_same_people_are_not_summed_with_one_hospital_less(network):
    network.permitted()
    network.hub.compose()
    network.turns()
    network.hub.permits, network.hub.run = {}, None
    network.add("dong")
    other = type(network.hub.question.question)(
        cohort=network.hub.question.question.cohort, variable="age", bins=9
    )
    network.permitted(network.study(question=other, nonce="2"))
    network.hub.past = network.hub_refs()
    network.hub.compose()
    network.turns()
    (refusal,) = network.sent(Refusal)
    assert refusal.rule == "same-roster"


def test_letters_wait_while_the_hub_is_down(network):
    network.hub.offer(network.study())
    network.turns()
    network.sign()
    network.hub.down = True
    with pytest.raises(HubUnreachable):
        network.turn()
    network.hub.down = False
    network.turns()
    assert "hanbit" in network.hub.permits


def test_what_has_left_is_told_from_the_journal(network):
    network.permitted()
    network.hub.compose()
    network.turns()
    departures = network.journal.departures()
    assert len(departures) == sum(len(network.sent(kind)) for kind in (Contribution, Handshake, Acceptance))
    assert all(row[-1] for row in departures)
    assert sum(int(row[6]) for row in departures) == sum(
        len(one.numbers) for one in network.sent(Contribution)
    )


def test_no_value_and_no_word_of_a_question_is_logged(network, caplog):
    caplog.set_level("INFO", logger="dure.node")
    network.permitted()
    network.hub.compose()
    network.turns()
    assert "celecoxib" not in caplog.text
    assert "1000" not in caplog.text
    assert "bytes" in caplog.text


def test_a_hub_that_answers_html_is_no_hub(network):
    def page(request):
        return httpx.Response(502, text="<html>proxy</html>")

    network.hub.handle = page
    network.boot()
    with pytest.raises(Exception, match="It answered 502"):
        network.turn()


def test_a_waiting_request_is_judged_again_only_when_what_it_was_judged_by_changes(network, monkeypatch):
    import dure.govern.permit as permit

    verified = []
    real = permit.verify_study
    monkeypatch.setattr(permit, "verify_study", lambda *a, **k: verified.append(1) or real(*a, **k))
    network.hub.offer(network.study())
    network.turns()
    network.turn()
    network.boot()
    network.turn()
    assert len(verified) == 1
    network.version = 2
    network.turn()
    assert len(verified) == 2
    lists = {"kinds": ("distribution",), "purposes": ("safety",), "modes": (Mode.TOTAL,)}
    object.__setattr__(network.config, "auto_sign", AutoSign(**lists, askers=("maker",)))
    network.turns()
    assert "hanbit" in network.hub.permits
