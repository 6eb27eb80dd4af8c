"""The meter counts shown numbers of hospitals that answered, and nothing else."""

from datetime import UTC, datetime

from dure.market.meter import Delivery, measure
from dure.study.report import Part, Participation, Report, Table
from dure.wire.rules import Mode, Rules


def report(mode, rows):
    parts = (
        ("aram", Part.ANSWERED),
        ("byeol", Part.ANSWERED),
        ("chorok", Part.DECLINED),
        ("dalbit", Part.REFUSED),
    )
    return Report(
        title="t",
        kind="feasibility",
        asker="a",
        mode=mode,
        rules=Rules(),
        banners=(),
        tables=(Table(name="t", title="t", columns=("hospital", "stage", "people"), rows=rows),),
        charts=(),
        methods=(),
        participation=tuple(Participation(hospital=name, part=part, reason="") for name, part in parts),
        study="s",
        manifest="m",
        software="dure",
        finished=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_in_total_each_answer_is_part_of_every_shown_number():
    made = report(Mode.TOTAL, (("network", "in", 120), ("network", "out", None)))
    assert measure(made) == (Delivery(hospital="aram", numbers=1), Delivery(hospital="byeol", numbers=1))


def test_by_hospital_each_has_its_own_and_a_hidden_number_counts_for_nothing():
    made = report(Mode.BY_HOSPITAL, (("aram", "in", 120), ("aram", "out", 0), ("byeol", "in", None)))
    assert measure(made) == (Delivery(hospital="aram", numbers=2), Delivery(hospital="byeol", numbers=0))
