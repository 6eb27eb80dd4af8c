"""`dure study` as a person meets it: what it prints, and the exit code of every problem."""

import pytest

from dure.cli import main
from dure.client import keys, login
from dure.client.result import csv_of
from dure.study.report import Table
from dure.wire.envelope import fingerprint, public_text


def _run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["study", *map(str, words)])
    return ended.value.code


def test_a_new_key_prints_what_the_root_needs(capsys):
    assert _run("key", "new") == 0
    public = public_text(keys.read())
    said = capsys.readouterr().out
    assert public in said
    assert fingerprint(public) in said
    assert _run("key", "show") == 0
    assert capsys.readouterr().out == said
    assert _run("key", "new") == 88


def test_check_says_what_would_leave(study_folder, capsys):
    assert _run("check", study_folder / "study.yaml") == 0
    said = capsys.readouterr().out
    for word in (
        "Anyone with a condition",
        "age, sex",
        "2 hours",
        "1 day",
        "people",
        "What would leave each hospital",
    ):
        assert word in said


def test_check_says_how_much_noise_there_would_be(study_folder, capsys):
    file = study_folder / "study.yaml"
    assert _run("check", file, "--epsilon", "1", "--hospitals", "20") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "at most epsilon 1 at delta 1e-06 of one person. Over 20 hospitals" in said
    assert "standard deviation" in said
    assert _run("check", file, "--epsilon", "0") == 53
    assert _run("check", file, "--epsilon", "1", "--colluders", "9", "--hospitals", "5") == 0
    assert "can't carry noise: With 9 colluders" in " ".join(capsys.readouterr().out.split())


def test_check_warns_of_few_hospitals(study_folder, capsys):
    file = study_folder / "study.yaml"
    rest = file.read_text()
    for hospitals, told in (("[a, b, c]", True), ("[a, b, c, d, e]", False)):
        file.write_text(f"hospitals: {hospitals}\n{rest}")
        assert _run("check", file) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert ("the total is lost if more than 0 of them drop out" in said) is told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "absent.yaml"], 81),
        (["list"], 85),
        (["list", "--hub", "https://hub.example"], 85),
        (["list", "--hub", "http://hub.example", "--token", "t"], 89),
        (["key", "show"], 82),
        (["list", "--hub"], 2),
    ],
)
def test_exit_codes(words, code, capsys):
    assert _run(*words) == code
    said = capsys.readouterr().err
    assert said
    assert code == 2 or ("where:" in said and "mend:" in said)


def test_a_wrong_study_file_ends_with_its_line(study_folder, capsys):
    (study_folder / "study.yaml").write_text("titel: T\n")
    assert _run("check", study_folder / "study.yaml") == 80
    assert "line 1, field titel" in capsys.readouterr().err


def test_nothing_is_kept_by_a_command_that_fails():
    assert _run("list") == 85
    assert not login.path().exists()


def test_csv_tells_hidden_nothing_and_zero_apart_and_starts_no_formula():
    table = Table(
        name="t",
        title="T",
        columns=("stage", "people", "rate_low"),
        rows=(("=1+1", None, None), ("b", 0, None), ("c", 12, 0.5)),
    )
    assert csv_of(table) == "stage,people,rate_low\r\n'=1+1,HIDDEN,HIDDEN\r\nb,0,\r\nc,12,0.5\r\n"


def test_tables_are_written_as_files(report, tmp_path):
    import pandas as pd

    from dure.client.result import Result

    result = Result(report, {})
    (csv,) = result.write_tables(tmp_path / "out", form="csv")
    (parquet,) = result.write_tables(tmp_path / "out", form="parquet")
    assert (
        csv.read_text(encoding="utf-8-sig").splitlines()[2]
        == "network,male,HIDDEN,HIDDEN,HIDDEN,HIDDEN,HIDDEN"
    )
    assert pd.read_parquet(parquet).people.isna().tolist() == [False, True, False]
