"""A report as one HTML file: no address outside it, no script, charts as pictures with a table beside each.

Responsible for: the file. Not responsible for: what is in a report (`dure.study`), the portal's page.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from dure.client import presentation
from dure.look import assets, charts
from dure.look.environment import environment, speaking
from dure.look.words import Words
from dure.study.report import Report


@dataclass(frozen=True, kw_only=True)
class _Picture:
    light: Markup
    dark: Markup


def html_report(report: Report, *, language: str = "en", names: Mapping[str, str] | None = None) -> str:
    """The report as the text of one HTML file.

    Args:
        language: "en" or "ko".
        names: hospitals' names by id, where they are known.
    """
    words = Words(language)
    known = names or {}
    sections = presentation.sections(report, words, known)
    pictures = {
        figure.number: _Picture(
            light=_drawn(figure.specification(words, "light")),
            dark=_drawn(figure.specification(words, "dark")),
        )
        for section in sections
        for figure in section.figures
    }
    template = speaking(environment("dure.client"), words).get_template("report.html")
    return template.render(
        report=report,
        sections=sections,
        parts=presentation.parts(report, words, known),
        answered=presentation.answered(report),
        provenance=presentation.provenance(report, words),
        pictures=pictures,
        style=Markup(assets.style()),  # noqa: S704 - the package's own stylesheet
    )


def _drawn(specification: dict[str, object] | None) -> Markup:
    """The SVG of a chart. vl-convert escapes what it draws, and the file's policy lets no script run."""
    return Markup() if specification is None else Markup(charts.svg(specification))  # noqa: S704
