"""The words on pages and in reports, in two languages. English is the message id; `locale/ko.po` is the catalogue.

Responsible for: choosing a language, translating what templates say and what reports hold (titles, columns, levels,
sentences with values in them), numbers and times as people write them. Not responsible for: what is said.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from io import BytesIO

from babel.core import negotiate_locale
from babel.dates import format_datetime
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

LANGUAGES = {"en": "English", "ko": "한국어"}
COOKIE = "dure_language"
IDENTIFIER = re.compile(r"[a-z]+(_[a-z]+)+")
KOREA = timezone(timedelta(hours=9), "KST")
COLUMNS = {
    "at_least": "At least",
    "person_years": "Person-years",
    "rate_per_1000_person_years": "Rate per 1,000 person-years",
    "rate_low": "Rate, 95 % from",
    "rate_high": "Rate, 95 % to",
    "proportion_percent": "Proportion, %",
    "prevalence_percent": "Prevalence, %",
    "prevalence_low": "Prevalence, 95 % from",
    "prevalence_high": "Prevalence, 95 % to",
    "standardised_rate_per_1000_person_years": "Standardised rate per 1,000 person-years",
    "standardised_rate_low": "Standardised rate, 95 % from",
    "standardised_rate_high": "Standardised rate, 95 % to",
    "standard_covered_percent": "Standard covered, %",
    "percent": "%",
    "no_more": "No more than that",
    "covariate_id": "Covariate's id",
    "smd": "Standardised difference",
    "target_people": "People",
    "target_percent": "People, %",
    "target_missing_percent": "Missing, %",
    "target_mean": "Mean",
    "target_sd": "Standard deviation",
    "comparator_people": "Compared: people",
    "comparator_percent": "Compared: %",
    "comparator_missing_percent": "Compared: missing, %",
    "comparator_mean": "Compared: mean",
    "comparator_sd": "Compared: standard deviation",
    "competing": "Competing events",
    "left": "Left without either",
    "until_day": "Up to day",
    "median_days": "Median, days",
    "median_low": "Median, 95 % from",
    "median_high": "Median, 95 % to",
    "mean_days": "Mean, days",
    "mean_low": "Mean, 95 % from",
    "mean_high": "Mean, 95 % to",
    "survival_percent": "Survival, %",
    "survival_low": "Survival, 95 % from",
    "survival_high": "Survival, 95 % to",
    "cumulative_incidence_percent": "Cumulative incidence, %",
    "cumulative_incidence_low": "Cumulative incidence, 95 % from",
    "cumulative_incidence_high": "Cumulative incidence, 95 % to",
    "difference_days": "Difference, days",
    "difference_low": "Difference, 95 % from",
    "difference_high": "Difference, 95 % to",
    "chi_square": "Chi-square",
    "freedom": "Degrees of freedom",
    "p_value": "p-value",
    "rate_ratio_low": "Rate ratio, 95 % from",
    "rate_ratio_high": "Rate ratio, 95 % to",
    "hazard_ratio_low": "Hazard ratio, 95 % from",
    "hazard_ratio_high": "Hazard ratio, 95 % to",
    "mean_ratio_low": "Mean ratio, 95 % from",
    "mean_ratio_high": "Mean ratio, 95 % to",
    "shrunk_ratio_low": "Shrunk ratio, 95 % from",
    "shrunk_ratio_high": "Shrunk ratio, 95 % to",
    "spread": "Standard deviation between subgroups (log)",
    "estimate": "Estimated",
    "target_outcomes": "Outcomes",
    "target_person_years": "Person-years",
    "comparator_outcomes": "Compared: outcomes",
    "comparator_person_years": "Compared: person-years",
    "difference_percent": "Difference, %",
    "ratio_low": "Ratio, 95 % from",
    "ratio_high": "Ratio, 95 % to",
    "log_ratio": "Logarithm of the ratio",
    "se": "Standard error",
    "risk_percent": "Risk, %",
    "risk_low": "Risk, 95 % from",
    "risk_high": "Risk, 95 % to",
    "smd_before": "Standardised difference before",
    "smd_after": "Standardised difference after",
    "i2_percent": "I², %",
    "tau2": "τ²",
    "predicted_low": "Another hospital's, from",
    "predicted_high": "Another hospital's, to",
}
"""Column names whose label isn't the name itself with a capital and spaces."""


def choose(asked: str | None, kept: str | None, accepted: str) -> str:
    """The language of a page: asked for in its address, else kept in a cookie, else the browser's first that we have."""
    for wish in (asked, kept):
        if wish in LANGUAGES:
            return wish
    ranked = []
    for position, part in enumerate(accepted.split(",")[:20]):
        name, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        ranked.append((-weight, position, name.strip()))
    preferred = [name for weight, _, name in sorted(ranked) if weight < 0]
    return negotiate_locale(preferred, list(LANGUAGES), sep="-") or "en"


@cache
def catalogue(language: str, topic: str = "") -> dict[str, str]:
    """Every message id with its translation; English needs none. `topic`: of `locale/ko.topic.po` instead of `ko.po`."""
    if language == "en":
        return {}
    name = f"{language}.{topic}.po" if topic else f"{language}.po"
    source = (files("dure.look") / "locale" / name).read_bytes()
    return {
        str(message.id): str(message.string)
        for message in read_po(BytesIO(source), locale=language)
        if message.id and message.string
    }


@cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Message ids with {values} in them, as patterns, the most specific first."""
    found = [(source, text) for source, text in catalogue(language).items() if "{" in source]
    found.sort(key=lambda pair: len(re.sub(r"{\w+}", "", pair[0])), reverse=True)
    return tuple((_pattern(source), text) for source, text in found)


def _pattern(source: str) -> re.Pattern[str]:
    pieces = re.split(r"{(\w+)}", source)
    seen: set[str] = set()
    out = ""
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            out += re.escape(piece)
        elif piece in seen:
            out += f"(?P={piece})"
        else:
            seen.add(piece)
            out += f"(?P<{piece}>.+?)"
    return re.compile(out, re.DOTALL)


def _spoken(message: str) -> str:
    """An English message as people read it: a word of the protocol ("by_hospital") without its underscores."""
    return message.replace("_", " ") if IDENTIFIER.fullmatch(message) else message


def decimals(values: Iterable[float]) -> int:
    """How many places after the point a column of such numbers needs, by its largest: about four digits in all."""
    largest = max((abs(value) for value in values), default=0.0)
    return 1 if largest >= 100 else 2 if largest >= 1 else 4


class Words:
    """One language's words. `Words("ko")("Sign in")` is what a page says there.

    `topic` names words that are kept apart, because they are pieces of sentences: `Words("ko", "cohort")` for `cohort.explain`.
    """

    def __init__(self, language: str, topic: str = "") -> None:
        """Raise KeyError for a language that isn't in `LANGUAGES`."""
        self.language = language
        self.name = LANGUAGES[language]
        self._catalogue = catalogue(language, topic)

    def __call__(self, message: str, **values: object) -> str:
        """A fixed message, with its {values} filled in."""
        text = self._catalogue.get(message) or _spoken(message)
        return text.format(**values) if values else text

    def text(self, sentence: str) -> str:
        """A sentence made elsewhere (a banner, a methods paragraph, a reason, a level); as it is where nothing fits."""
        if self.language == "en" or sentence in self._catalogue:
            return self._catalogue.get(sentence) or _spoken(sentence)
        for pattern, text in _patterns(self.language):
            match = pattern.fullmatch(sentence)
            if match is not None:
                return text.format(**{name: self.text(value) for name, value in match.groupdict().items()})
        return sentence

    def column(self, name: str) -> str:
        """A column's label."""
        plain = name.replace("_", " ")
        return self(COLUMNS.get(name, plain[:1].upper() + plain[1:]))

    def number(self, value: float, *, places: int | None = None) -> str:
        """A number with its thousands grouped; `places` after the point, chosen by its size if not given."""
        if isinstance(value, int):
            return str(format_decimal(value, locale=self.language))
        shown = decimals((value,)) if places is None else places
        return str(
            format_decimal(value, format="#,##0" + "." * (shown > 0) + "0" * shown, locale=self.language)
        )

    def moment(self, value: datetime) -> str:
        """A time, in Korea's zone where the language is Korean, else in UTC; the zone is always said."""
        zone = KOREA if self.language == "ko" else UTC
        return f"{format_datetime(value.astimezone(zone), 'yyyy-MM-dd HH:mm', locale=self.language)} {zone.tzname(None)}"
