"""Every page in a real browser: what a person sees, in both languages and themes, with and without scripts."""

import re
from importlib.resources import files

import pytest

AXE = (files("axe_core_python") / "axe.min.js").read_text()
PAGES = ("/studies", "/hospitals", "/rules", "/log", "/nothing-here")


def _violations(page) -> list[str]:
    """Serious faults of accessibility, as axe finds them. It is put in by the debugger, which the page's policy allows."""
    page.evaluate(AXE + "; 0")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html'][:160]}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]


def test_sign_in_and_out(visit, picture):
    page = visit(user=None)
    page.goto("/studies")
    page.wait_for_url("**/signin?next=/studies")
    assert _violations(page) == []
    picture(page, "signin")
    page.get_by_label("Email").fill("asker@example.org")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/studies")
    (cookie,) = [cookie for cookie in page.context.cookies() if cookie["name"] == "dure"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/signin")
    page.goto("/studies")
    page.wait_for_url("**/signin?next=/studies")


def test_a_wrong_password_is_said_and_nothing_more(visit):
    page = visit(user=None)
    page.goto("/signin")
    page.get_by_label("Email").fill("nobody@example.org")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").get_by_text("The e-mail address or the password is wrong.").wait_for()
    visit.wrong[:] = [text for text in visit.wrong if "401" not in text]


def test_the_list_of_studies(visit, picture, reported, reported_by_hospital):
    page = visit()
    page.get_by_role("heading", name="Studies").wait_for()
    row = page.get_by_role("row", name=re.compile("heart-failure trial"))
    assert "reported" in row.inner_text()
    picture(page, "studies")
    row.get_by_role("link").click()
    page.wait_for_url("**/studies/sha256:*")


def test_progress_renews_itself_until_the_answer(visit, picture, site):
    digest = site.submit("A study that people watch")
    page = visit()
    page.goto(f"/studies/{digest}")
    status = page.get_by_role("status")
    assert status.get_by_text("the board is deciding").count() == 5
    site.play("hanbit", "solbaram")
    status.get_by_text("declined").wait_for()
    status.get_by_text("permit signed").wait_for()
    assert _violations(page) == []
    picture(page, "study-in-progress")
    answer = page.get_by_role("heading", name="Answer")
    for _ in range(100):
        site.play()
        if answer.is_visible():
            break
        page.wait_for_timeout(200)
    assert page.get_by_text("4 of 5 hospitals answered.").is_visible()


def test_an_answer_has_charts_tables_and_everyone(visit, picture, reported):
    page = visit()
    page.goto(f"/studies/{reported}")
    assert page.get_by_text("4 of 5 hospitals answered.").is_visible()
    assert page.get_by_text("The board takes part in no trial design this year.").is_visible()
    assert page.get_by_text("Synthetic data: these people do not exist.").is_visible()
    page.locator("figure[data-drawn=light]").nth(3).wait_for()
    for table in ("People left after each rule", "People in the cohort by age"):
        assert page.get_by_role("table", name=table).is_visible()
    assert _violations(page) == []
    picture(page, "study-answered")
    bar = page.locator("figure .vega-embed path[aria-roledescription=bar]").first
    bar.hover()
    page.locator("#vg-tooltip-element.visible").wait_for()


def test_an_answer_by_hospital_in_the_dark(visit, picture, reported_by_hospital):
    page = visit(dark=True)
    page.goto(f"/studies/{reported_by_hospital}")
    page.locator("figure[data-drawn=dark]").nth(1).wait_for()
    assert page.get_by_text("hidden", exact=True).first.is_visible()
    assert _violations(page) == []
    picture(page, "study-by-hospital-dark")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_every_other_page(visit, picture, path, dark, reported):
    page = visit(user="regulator@example.org", dark=dark)
    page.goto(path)
    assert _violations(page) == []
    picture(page, f"{path.strip('/')}-{'dark' if dark else 'light'}")
    visit.wrong[:] = [text for text in visit.wrong if "404" not in text]


def test_the_language_changes_and_stays(visit, picture, reported):
    page = visit()
    page.goto(f"/studies/{reported}")
    page.get_by_role("link", name="한국어").click()
    page.get_by_role("heading", name="나이별 코호트 인원").wait_for()
    page.locator("figure[data-drawn=light]").nth(3).wait_for()
    assert page.locator("html").get_attribute("lang") == "ko"
    assert _violations(page) == []
    picture(page, "study-answered-korean")
    page.goto("/hospitals")
    page.get_by_role("heading", name="병원").wait_for()
    picture(page, "hospitals-korean")


def test_the_browsers_language_is_spoken(visit):
    page = visit(user=None, language="ko-KR")
    page.goto("/signin")
    page.get_by_role("heading", name="로그인").wait_for()


def test_everything_works_without_scripts(visit, picture, site, reported):
    page = visit(scripts=False)
    page.goto(f"/studies/{reported}")
    images = page.locator("figure picture img")
    assert images.count() == 4
    for image in images.all():
        assert image.get_attribute("alt")
        assert image.bounding_box()["height"] > 80
    picture(page, "study-without-scripts")
    digest = site.submit("A study without scripts")
    page.goto(f"/studies/{digest}")
    answer = page.get_by_role("heading", name="Answer")
    for _ in range(100):
        site.play()
        if answer.is_visible():
            break
        page.wait_for_timeout(200)
    assert answer.is_visible()


def test_a_small_screen(visit, picture, reported):
    page = visit(wide=390)
    page.goto(f"/studies/{reported}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "study-small")


def test_the_files_of_an_answer(visit, reported, tmp_path):
    page = visit()
    page.goto(f"/studies/{reported}")
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download the report").click()
    assert (
        caught.value.suggested_filename
        == "New users of empagliflozin who could join a heart failure trial.html"
    )
    text = caught.value.path().read_text()
    assert "4 of 5 hospitals answered." in text
    assert "Hanbit University Hospital" in text
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download as CSV: People in the cohort by age").click()
    assert caught.value.path().read_text(encoding="utf-8-sig").startswith("hospital,age,people\n")


def test_the_report_file_in_the_browser(browser, picture, site, reported, tmp_path):
    with site.client as client:
        result = client.result(reported)
    context = browser.new_context(viewport={"width": 1180, "height": 900})
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for language in ("en", "ko"):
        page.goto(result.to_html(tmp_path / f"{language}.html", language=language).as_uri())
        assert _violations(page) == []
        picture(page, f"report-{language}")
    page.emulate_media(media="print")
    picture(page, "report-print")
    assert all(address.startswith("file:") for address in asked)
    context.close()


def test_the_regulator_sees_the_log_and_no_answer(visit, reported):
    page = visit(user="regulator@example.org")
    page.goto("/log")
    assert page.get_by_role("cell", name="study offered").first.is_visible()
    page.goto(f"/studies/{reported}")
    assert page.get_by_role("heading", name="Answer").count() == 0
    for path in ("report.html", "tables/by_age.csv", "charts/0.svg"):
        assert page.request.get(f"/studies/{reported}/{path}").status == 403


def test_an_asker_has_no_log(visit):
    page = visit()
    assert page.get_by_role("link", name="Log").count() == 0
    assert page.request.get("/log").status == 403
