"""A definition in words that can be read aloud.

Responsible for: what is said and in which order. Each sentence is a message with named values, so that a translator can put
them where its language wants them. Not responsible for: meaning (each sentence follows the typed nodes, which the plan
follows too), the nouns (`wording`), nor the translations.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Protocol

from dure.cohort.circe.nodes import (
    CohortExpression,
    Concepts,
    Correlated,
    Criterion,
    CustomEra,
    DateAdjustment,
    DateField,
    DateOffset,
    Endpoint,
    Filter,
    Flag,
    Group,
    GroupType,
    Limit,
    OccurrenceType,
    Period,
    Range,
    Selection,
    Text,
    Warned,
    Window,
)
from dure.cohort.wording import AFTER_RULES, COLUMNS, DATES, GROUPS, LIMITS, NAMES, NOUNS, NUMBERS

MOST_LISTED = 12
"""Concepts that are named one by one."""


class Translator(Protocol):
    """Says a message of this page in a language; `values` stand where the message has their {names}."""

    def __call__(self, message: str, **values: object) -> str: ...


def english(message: str, **values: object) -> str:
    return message.format(**values) if values else message


def explain(expression: CohortExpression, say: Translator = english) -> str:
    """The definition as a text of short lines. Names in the file make no lines of their own."""
    return "\n".join(map(_one_line, _Explainer(expression, say).lines()))


def _one_line(text: str) -> str:
    words = text.lstrip(" ")
    shown = "".join(each if each.isprintable() else " " for each in words)
    return " " * (len(text) - len(words)) + " ".join(shown.split())


def warned(warning: Warned, say: Translator = english) -> str:
    """A warning as a sentence that names its place."""
    return f"{warning.where}: {say(warning.what, **dict(warning.values))}"


class _Explainer:
    def __init__(self, expression: CohortExpression, say: Translator) -> None:
        self.expression = expression
        self.say = say
        self.names = {
            each.id: say("“{name}”", name=each.name)
            if each.name
            else say("concept set {number}", number=each.id)
            for each in expression.concept_sets
        }

    def lines(self) -> Iterator[str]:
        say, expression = self.say, self.expression
        if expression.name:
            yield expression.name
            yield ""
        yield say("Who enters")
        yield from self.entry()
        if expression.additional is not None and not expression.additional.is_empty:
            yield "  " + say("Of these events, only those count for which:")
            yield from self.group(expression.additional, "  ", say("entry"))
        if expression.additional is not None and expression.qualified_limit is not Limit.ALL:
            yield "  " + say(LIMITS[expression.qualified_limit])
        if expression.inclusion_rules:
            yield say("Inclusion rules")
        for at, rule in enumerate(expression.inclusion_rules, start=1):
            yield f"  {at}. {rule.name}"
            yield from self.group(rule.group, "     ", say("entry"))
        limited = expression.additional is not None and expression.qualified_limit is not Limit.ALL
        several = expression.primary_limit is Limit.ALL and not limited
        if several and expression.inclusion_rules and expression.expression_limit in AFTER_RULES:
            yield "  " + say(AFTER_RULES[expression.expression_limit])
        yield say("How long they stay")
        for line in self.exit():
            yield f"  {line}"
        if expression.warnings:
            yield say("To know")
        for warning in expression.warnings:
            yield f"  - {warned(warning, say)}"

    def entry(self) -> Iterator[str]:
        say, expression = self.say, self.expression
        prior, post = expression.prior_days, expression.post_days
        if len(expression.primary) > 1:
            yield "  " + say("People enter at any of these events:")
        else:
            yield "  " + say("People enter at this event:")
        for criterion in expression.primary:
            yield from self.criterion(criterion, "  - ")
        if prior and post:
            message = "It has to start in an observation period, with at least {prior} of it before and {post} after."
        elif prior:
            message = "It has to start in an observation period, with at least {prior} of it before."
        elif post:
            message = "It has to start in an observation period, with at least {post} of it after."
        else:
            message = "It has to start in an observation period."
        yield "  " + say(message, prior=self.days(prior), post=self.days(post))
        limit, plain = expression.primary_limit, not (expression.additional or expression.inclusion_rules)
        yield "  " + say(LIMITS[expression.expression_limit if plain and limit is Limit.ALL else limit])

    def exit(self) -> Iterator[str]:
        say, expression = self.say, self.expression
        match expression.end:
            case DateOffset():
                yield self.offset(expression.end)
            case CustomEra(codeset=codeset, gap_days=gap, offset=offset, days_supply=supply):
                yield say(
                    "They stay while they are exposed to {set} without a break, at the latest until observation ends.",
                    set=self.names[codeset],
                )
                yield say("Exposures at most {days} apart are one.", days=self.days(gap))
                if offset:
                    yield say("{days} more are added after the last exposure.", days=self.days(offset))
                if supply is not None:
                    yield say("Every exposure counts as {days} long.", days=self.days(supply))
            case None:
                yield say("They stay until observation ends.")
        if expression.censoring:
            yield say("They leave earlier at the first of these events:")
        for criterion in expression.censoring:
            yield from self.criterion(criterion, "- ")
        if Limit.ALL is expression.primary_limit is expression.expression_limit:
            if expression.era_pad:
                pad = self.days(expression.era_pad)
                yield say("Stays of one person at most {days} apart are joined.", days=pad)
            else:
                yield say("Stays of one person that overlap or touch are joined.")
        window = expression.censor_window
        if window is not None:
            yield self.period(
                window,
                "Only {start} counts.",
                "Only days from {start} to {end} count.",
                "Only days from {start} on count.",
                "Only days up to {end} count.",
            )

    def offset(self, end: DateOffset) -> str:
        say, starts, days = self.say, end.field is DateField.START, self.days(abs(end.days))
        if end.days == 0:
            if starts:
                return say("They leave on the day they enter.")
            return say("They leave when the event of entry ends, or when observation ends if that is sooner.")
        if end.days < 0:
            return say(
                "They leave {days} before they enter, which leaves nobody in unless something below ends the stay."
                if starts
                else "They leave {days} before the event of entry ends, or when observation ends if that is sooner.",
                days=days,
            )
        return say(
            "They leave {days} after they enter, or when observation ends if that is sooner."
            if starts
            else "They leave {days} after the event of entry ends, or when observation ends if that is sooner.",
            days=days,
        )

    def period(self, period: Period, one: str, both: str, start: str, end: str) -> str:
        message = both if period.start and period.end else start if period.start else end
        if period.start == period.end:
            message = one
        return self.say(message, start=period.start, end=period.end)

    def events(self, criterion: Criterion, *, several: bool) -> str:
        noun = NOUNS[criterion.type]
        named = self.names.get(criterion.codeset) if criterion.codeset is not None else None
        return self.say(noun.many if several else noun.one, set=named or self.say(noun.anything))

    def criterion(self, criterion: Criterion, lead: str) -> Iterator[str]:
        yield lead + ", ".join([self.events(criterion, several=False), *self.attributes(criterion)])
        yield from self.details(criterion, " " * len(lead))

    def attributes(self, criterion: Criterion) -> list[str]:
        say = self.say
        found = [say("only each person's first")] if criterion.first else []
        if criterion.source_codeset is not None:
            found.append(say("source concept in {set}", set=self.names[criterion.source_codeset]))
        found += [self.filter(each) for each in criterion.filters]
        if criterion.adjustment is not None:
            found.append(self.adjusted(criterion.adjustment))
        if criterion.period is not None:
            found.append(
                self.period(
                    criterion.period,
                    "covering {start} and counted as that day only",
                    "covering {start} to {end} and counted from the one to the other",
                    "covering {start} and counted from then",
                    "covering {end} and counted until then",
                )
            )
        return found

    def adjusted(self, moved: DateAdjustment) -> str:
        parts = {DateField.START: self.say("its start"), DateField.END: self.say("its end")}

        def point(field: DateField, days: int) -> str:
            if days == 0:
                return parts[field]
            message = "{days} before {event}" if days < 0 else "{days} after {event}"
            return self.say(message, days=self.days(abs(days)), event=parts[field])

        return self.say(
            "counted from {start} to {end}",
            start=point(moved.start_with, moved.start_offset),
            end=point(moved.end_with, moved.end_offset),
        )

    def details(self, criterion: Criterion, indent: str) -> Iterator[str]:
        say = self.say
        if criterion.parts:
            yield indent + say("events at most {days} apart, of:", days=self.days(criterion.gap_days))
            for part in criterion.parts:
                yield from self.criterion(part, f"{indent}- ")
        if criterion.correlated is not None:
            yield indent + say("for which:")
            yield from self.group(criterion.correlated, indent, say("that event"))

    def filter(self, each: Filter) -> str:
        say = self.say
        known = each.property if each.property in NAMES else each.property.removesuffix("CS")
        name = say(NAMES[known])
        match each.value:
            case Range(op=op, value=value, extent=extent):
                message = (DATES if isinstance(value, date) else NUMBERS)[op]
                return say(message, name=name, low=_number(value), high=_number(extent))
            case Concepts(ids=ids, exclude=exclude, names=names):
                listed = self.listed(ids, names or ("",) * len(ids))
                return say("{name} not {listed}", name=name, listed=listed) if exclude else f"{name} {listed}"
            case Selection(codeset=None, exclude=exclude):
                return say("{name} not recorded" if exclude else "{name} recorded", name=name)
            case Selection(codeset=codeset, exclude=exclude):
                message = "{name} not in {set}" if exclude else "{name} in {set}"
                return say(message, name=name, set=self.names[codeset or 0])
            case Text(pattern=pattern, negated=negated):
                message = "{name} not like “{text}”" if negated else "{name} like “{text}”"
                return say(message, name=name, text=pattern)
            case Flag():
                return name

    def listed(self, ids: Sequence[int], names: Sequence[str]) -> str:
        """Concepts by name, or by number where the file names them not."""
        say = self.say
        told = [
            name or say("concept {number}", number=number) for number, name in zip(ids, names, strict=True)
        ]
        if len(told) > MOST_LISTED:
            told[MOST_LISTED - 1 :] = [say("{number} others", number=len(told) - MOST_LISTED + 1)]
        *most, last = told
        return say("{first} or {last}", first=", ".join(most), last=last) if most else last

    def group(self, group: Group, indent: str, index: str) -> Iterator[str]:
        say = self.say
        if group.is_empty:
            yield indent + say("nothing is asked.")
            return
        alone = len(group.criteria) + len(group.demographics) + len(group.groups) == 1
        if not (alone and (group.type in {GroupType.ALL, GroupType.ANY})):
            none = group.type is GroupType.AT_MOST and group.count == 0
            yield indent + say("none of these holds:" if none else GROUPS[group.type], count=group.count)
        for each in group.criteria:
            yield from self.correlated(each, indent, index)
        for demographic in group.demographics:
            told = ", ".join(self.filter(each) for each in demographic) or say("anyone")
            yield f"{indent}- " + say("the person: {what}", what=told)
        for nested in group.groups:
            first, *rest = self.group(nested, indent + "  ", index)
            yield f"{indent}- {first.strip().removeprefix('- ')}"
            yield from rest

    def correlated(self, each: Correlated, indent: str, index: str) -> Iterator[str]:
        say = self.say
        parts = [self.count(each), *self.attributes(each.criterion)]
        parts += dict.fromkeys(self.window(window, index, each) for window in each.windows)
        if each.same_visit:
            parts.append(say("in the same visit"))
        if each.ignore_observation_period:
            parts.append(say("even outside the observation period"))
        yield f"{indent}- " + ", ".join(parts)
        yield from self.details(each.criterion, f"{indent}  ")

    def count(self, each: Correlated) -> str:
        say, occurrence = self.say, each.occurrence
        kind, count = occurrence.type, occurrence.count
        never = kind is not OccurrenceType.AT_LEAST and count == 0
        if occurrence.distinct and not never:
            message = {
                OccurrenceType.AT_LEAST: "{events} with at least {count} different {column}",
                OccurrenceType.AT_MOST: "{events} with at most {count} different {column}",
                OccurrenceType.EXACTLY: "{events} with exactly {count} different {column}",
            }[kind]
            column = say(COLUMNS[occurrence.distinct])
            return say(message, events=self.events(each.criterion, several=True), count=count, column=column)
        if never:
            return say("no {events}", events=self.events(each.criterion, several=True))
        if count == 1:
            event = self.events(each.criterion, several=False)
            if kind is OccurrenceType.AT_LEAST:
                return event
            once = "exactly once: {event}" if kind is OccurrenceType.EXACTLY else "at most once: {event}"
            return say(once, event=event)
        message = {
            OccurrenceType.AT_LEAST: "at least {count} {events}",
            OccurrenceType.AT_MOST: "at most {count} {events}",
            OccurrenceType.EXACTLY: "exactly {count} {events}",
        }[kind]
        return say(message, count=count, events=self.events(each.criterion, several=True))

    def window(self, window: Window, index: str, each: Correlated) -> str:
        say = self.say
        anchor = index if window.index is DateField.START else say("the end of {event}", event=index)
        start, end = window.start, window.end
        backwards = start.days is None and start.before
        onwards = end.days is None and not end.before
        if backwards and onwards:
            when = say("at any time")
        elif backwards:
            when = say("at any time up to {end}", end=self.point(end, anchor, each))
        elif onwards:
            when = say("at any time from {start} on", start=self.point(start, anchor, each))
        elif start.days is not None and start.days == end.days:
            point = self.point(start, anchor, each)
            when = say("on {day}", day=point) if start.days == 0 else say("exactly {day}", day=point)
        else:
            when = say(
                "from {start} to {end}",
                start=self.point(start, anchor, each),
                end=self.point(end, anchor, each),
            )
        return say("starting {when}" if window.event is DateField.START else "ending {when}", when=when)

    def point(self, endpoint: Endpoint, anchor: str, each: Correlated) -> str:
        say, days = self.say, endpoint.days
        if days is None:
            if each.ignore_observation_period:
                return say("the beginning of time") if endpoint.before else say("the end of time")
            return say("the start of observation") if endpoint.before else say("the end of observation")
        if days == 0:
            return say("the day of {event}", event=anchor)
        message = "{days} before {event}" if days < 0 else "{days} after {event}"
        return say(message, days=self.days(abs(days)), event=anchor)

    def days(self, number: int) -> str:
        return self.say("1 day") if number == 1 else self.say("{number} days", number=number)


def _number(value: object) -> str:
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
