"""The report is one file that needs nothing else, and says everything that a reader must know."""

import re

import pytest

from dure.client.html import html_report


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_file_reaches_for_nothing(report, language):
    text = html_report(report, language=language)
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script" not in text
    assert "<link" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_every_hospital_is_named_with_its_part(report):
    text = html_report(report)
    assert "1 of 2 hospitals answered." in text
    for said in ("north", "answered", "south", "declined", "Our board says no."):
        assert said in text


def test_banners_come_before_any_number(report):
    text = html_report(report)
    assert text.index("Nothing here is evidence") < text.index("40.5")


def test_hidden_nothing_and_zero_differ(report):
    text = html_report(report)
    assert text.count('<td class="number"><span class="hidden">hidden</span></td>') == 5
    assert text.count('<td class="number">–</td>') == 3
    assert '<td class="number">0</td>' in text


def test_a_chart_has_words_and_a_table(report):
    text = html_report(report)
    assert (
        'aria-label="Incidence by sex: Rate per 1,000 person-years by Sex. The highest is 40.50 (female). 1 hidden."'
        in text
    )
    assert text.count("<svg") == 2
    assert "<caption" in text


def test_provenance_is_printed(report):
    text = html_report(report)
    for digest in (report.study, report.manifest, report.participation[0].permit):
        assert digest in text


def test_what_people_wrote_is_escaped(report):
    assert "Rates &lt;b&gt;of&lt;/b&gt; something" in html_report(report)


def test_the_report_in_korean(report):
    text = html_report(report, language="ko")
    assert '<html lang="ko">' in text
    for said in ("성별 발생률", "숨김", "거절", "합성 자료입니다.", "두 병원에 다닌 사람은 두 번 셉니다."):
        assert said in text
