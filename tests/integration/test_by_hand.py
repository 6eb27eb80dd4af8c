"""Files carried by hand, from the request to the report, as the manual says it; and what is said where a file doesn't belong."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dure.client import study_file
from dure.study.kinds import KINDS, kind_of
from dure.study.report import Part
from dure.wire.by_hand import Mail
from dure.wire.codec import decode
from tests.integration.by_hand import HOSPITALS, PERSONS, Village

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "by-hand.md").read_text(encoding="utf-8")
STUDIES = Path(study_file.__file__).parents[1] / "demo" / "studies"


@pytest.fixture
def village(tmp_path, monkeypatch, capsys):
    """A network to carry files in."""
    return Village(tmp_path, monkeypatch, capsys)


def commands():
    """The manual's lines, without `dure`."""
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE.split("## An example")[1], flags=re.MULTILINE | re.DOTALL)
    return [line.removeprefix("dure ") for block in blocks for line in block.splitlines() if line]


def test_the_manual_s_example_gives_the_pooled_total(village):
    told = {"ROOT": village.root_key}
    for line in commands():
        for name in HOSPITALS if "HOSPITAL" in line else ("",):
            command = line.replace("HOSPITAL", name)
            for word, value in told.items():
                command = command.replace(word, value)
            said = village.does(command)
            if "fingerprint " in said:
                told["FINGERPRINT"] = said.split("fingerprint ")[1].split()[0]
            if "Request sha256:" in said:
                told["STUDY"] = said.split("sha256:")[1][:12]
                shown = " ".join(village.does(f"node show {told['STUDY']} --dir {name}").split())
                assert "Ministry (regulator)" in shown
    report = village.report()
    numbers = [row[2] for table in report.tables if table.name == "histogram" for row in table.rows]
    assert numbers == village.counted(HOSPITALS)
    assert {part.part for part in report.participation} == {Part.ANSWERED}
    assert "Ages" in (village.folder / "study" / "report.html").read_text(encoding="utf-8")


def can_be_carried():
    """Every kind among the examples: whether it can be carried as it is, or in its one-round form."""
    found = {}
    for file in sorted(STUDIES.glob("*.yaml")):
        question = study_file.read(file).question
        found.setdefault(question.kind, set()).add(_one_round(question))
        if hasattr(question, "one_round"):
            from dataclasses import replace

            found[question.kind].add(
                "with `one_round: true`" if _one_round(replace(question, one_round=True)) else False
            )
    return {
        kind: "yes" if True in ways else next((way for way in ways if way), "no")
        for kind, ways in found.items()
    }


def _one_round(question):
    steps = kind_of(question).steps(question)
    return all(not step.needs and step.statistic.rounds(step.params) == 1 for step in steps)


def test_the_manual_says_which_kinds_can_be_carried():
    told = can_be_carried()
    assert set(told) == set(KINDS)
    table = PAGE.split("<!-- kinds -->\n")[1].split("<!-- end -->")[0]
    assert table == "| kind | carried |\n|---|---|\n" + "".join(
        f"| `{kind}` | {told[kind]} |\n" for kind in KINDS
    )


@pytest.mark.slow
def test_who_gives_no_file_of_people_is_left_out_and_named(village):
    village.numbers_brought(without=("dalbit",))
    village.does("aggregator add study/5-for-the-aggregator.json --dir ministry --out half.json")
    village.does("study carry add half.json --dir study")
    report = village.report()
    assert {part.hospital: part.part for part in report.participation}["dalbit"] is Part.DROPPED
    numbers = [row[2] for table in report.tables if table.name == "histogram" for row in table.rows]
    assert numbers == village.counted(HOSPITALS[:3])


def test_files_that_do_not_belong(village):
    """Each is refused with its own exit code, and the right file is taken after it."""
    village.people_brought()
    add = "aggregator add study/3-for-the-aggregator.json --dir ministry --out opened.json"
    # the asker: the aggregator's file twice, one of another study
    assert village.run("study carry add aram.json byeol.json --dir study")[0] == 81
    assert village.run("study carry add aram.json --dir study")[0] == 50
    # the aggregator: tampered, then right; the same again gets the same answer
    path = village.folder / "study" / "3-for-the-aggregator.json"
    good = path.read_bytes()
    told = json.loads(good)
    told["halves"] = told["halves"][:-1]
    path.write_text(json.dumps(told))
    assert village.run(add)[0] == 34
    path.write_bytes(good)
    village.does(add)
    first = (village.folder / "opened.json").read_bytes()
    village.does(add)
    assert (village.folder / "opened.json").read_bytes() == first
    village.does("study carry add opened.json --dir study")
    # a hospital's old file has no numbers; a hospital is missing; two files of one
    old = "aram.json byeol.json chorok.json dalbit.json"
    assert village.run(f"study carry add {old} --dir study")[0] == 34
    files = village.at_hospitals("study/4-numbers.json")
    assert village.run("study carry add aram.json byeol.json chorok.json --dir study")[0] == 34
    assert (
        village.run("study carry add aram.json byeol.json chorok.json --dir study --without dalbit")[0] == 34
    )
    village.does(f"study carry add {files} --dir study")
    assert village.run("node import nowhere.json --dir aram")[0] == 76
    assert village.run("aggregator add study/5-for-the-aggregator.json --dir nowhere --out x.json")[0] == 39


def test_a_refusing_board_and_a_missing_file_of_the_request(village):
    village.aggregator()
    village.begin()
    village.at_hospitals("study/1-request.json", sign=True, names=HOSPITALS[:3])
    village.does("node import study/1-request.json --dir dalbit")
    assert village.run(f"node export {village.study} --dir dalbit --out dalbit.json")[0] == 76
    assert village.run("study carry add aram.json byeol.json chorok.json --dir study")[0] == 34
    assert village.run(f"node decline {village.study} --dir dalbit --reason Busy.")[0] == 0
    village.does(f"node export {village.study} --dir dalbit --out dalbit.json")
    village.does("study carry add aram.json byeol.json chorok.json dalbit.json --dir study")


def test_a_node_leaves_alone_what_it_may_not_answer(village):
    """Numbers before people, other cells than were opened, other hospitals: the node's own refusals, in its file."""
    village.opened()
    path = village.folder / "study" / "4-numbers.json"
    good = path.read_bytes()
    told = json.loads(good)
    told["tasks"][0]["members"] = list(HOSPITALS[:3])
    path.write_text(json.dumps(told))
    said = village.does("node import study/4-numbers.json --dir aram")
    assert "1 refusals" in said
    village.does(f"node export {village.study} --dir aram --out aram.json")
    mail = decode(Mail, (village.folder / "aram.json").read_bytes(), where="")
    refusal = json.loads(mail.envelopes[-1].payload)
    assert refusal["rule"] == "not-permitted"
    path.write_bytes(good)
    village.at_hospitals("study/4-numbers.json", names=HOSPITALS[1:])
    code, said = village.run("study carry add aram.json byeol.json chorok.json dalbit.json --dir study")
    assert code == 34
    assert "refuses its numbers" in said


def test_letters_that_are_carried_are_not_sent_to_a_hub(village):
    """A node that reaches a hub again keeps its shares for the file."""
    from dure.node.courier import deliver
    from dure.node.journal import Journal

    village.permitted()
    village.does("node import study/2-people.json --dir aram")
    journal = Journal(village.folder / "aram")
    assert journal.to_send()
    assert deliver(journal, None, clock=None) == 0
    journal.close()


def test_the_asker_s_own_cannot_be_the_second_body(village):
    village.aggregator(affiliation="maker")
    assert village.run(village.beginning())[0] == 45


def test_the_root_lists_no_hospital_and_no_asker_as_a_second_body(village):
    said = village.does(f"aggregator keys --dir m --id m --name m --role user --root {village.root_key}")
    heard = said.split("fingerprint ")[1].split()[0]
    assert (
        village.run("directory admit-aggregator m/enrolment.json --fingerprint 0000-0000-0000-0000-0000")[0]
        == 48
    )
    assert village.run(f"directory admit-aggregator m/enrolment.json --fingerprint {heard}")[0] == 49


def test_an_aggregator_adds_only_what_is_meant_for_it(village):
    """Not a study of another body's, nor under a directory that is older than one seen, nor with keys that others can read."""
    old = (village.folder / "root" / "directory.json").read_bytes()
    village.people_brought()
    file = "study/3-for-the-aggregator.json"
    village.does(f"aggregator keys --dir other --id other --name other --root {village.root_key}")
    assert village.run(f"aggregator add {file} --dir other --out x.json")[0] == 45
    assert (
        village.run(f"aggregator keys --dir other --id other --name other --root {village.root_key}")[0] == 39
    )
    (village.folder / "other" / "body.key").chmod(0o644)
    assert village.run(f"aggregator add {file} --dir other --out x.json")[0] == 39
    told = json.loads((village.folder / file).read_bytes())
    told["directory"] = json.loads(old)
    (village.folder / "rolled-back.json").write_text(json.dumps(told))
    village.does(f"aggregator add {file} --dir ministry --out opened.json")
    assert village.run("aggregator add rolled-back.json --dir ministry --out x.json")[0] == 54


def test_an_aggregator_adds_a_run_once(village):
    """The asker has its half signed over three hospitals, after one over four: the two would subtract to the fourth."""
    village.people_brought()
    whole = (village.folder / "study" / "by-hand.json").read_bytes()
    add = "aggregator add study/3-for-the-aggregator.json --dir ministry --out opened.json"
    state = json.loads(whole)
    state["waits"], state["people"] = "the hospitals' people", {}
    village.does(add)
    (village.folder / "study" / "by-hand.json").write_text(json.dumps(state))
    village.does("study carry add aram.json byeol.json chorok.json --dir study --without dalbit")
    code, said = village.run(add)
    assert code == 37
    assert "would subtract" in said


def test_a_study_of_several_rounds_is_not_carried(village):
    village.aggregator()
    study = village.folder / "study.yaml"
    study.write_text(study.read_text().replace("one_round: true", "one_round: false"))
    code, said = village.run(village.beginning())
    assert code == 30
    assert "more than one round" in said


def test_people_so_few_that_nothing_opens_end_with_a_report(village):
    for name in village.people:
        village.people[name] = np.zeros(2, np.int64)
    village.people_brought()
    village.does("aggregator add study/3-for-the-aggregator.json --dir ministry --out opened.json")
    said = village.does("study carry add opened.json --dir study")
    assert "No number could be released" in said
    assert village.run("study carry add opened.json --dir study")[0] == 33


@pytest.mark.slow
def test_hospitals_with_databases_and_all_their_processes(tmp_path, monkeypatch, capsys):
    """The same with real people's tables: extractor, sandboxed calculator, gate."""
    village = Village(tmp_path, monkeypatch, capsys, databases=True)
    village.numbers_brought()
    village.does("aggregator add study/5-for-the-aggregator.json --dir ministry --out half.json")
    village.does("study carry add half.json --dir study")
    report = village.report()
    (people,) = {row[2] for table in report.tables if table.name == "quartiles" for row in table.rows}
    assert people == len(HOSPITALS) * PERSONS
