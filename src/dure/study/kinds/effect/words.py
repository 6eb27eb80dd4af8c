"""The methods section of a comparison, from its spec: whole sentences with gaps, so that each can be translated."""

from dure.study.kinds.effect.adjust import PARTS
from dure.study.kinds.effect.spec import Effect, controls_of, covariates_of

COMPARED = (
    "New users of “{target}” were compared with new users of “{comparator}” (OHDSI Circe definitions) for “{outcome}”. Each person counts"
    " at the earlier of the first entries into the two cohorts (day 0); who entered both on one day, had the outcome before the time at"
    " risk or has no day at risk is left out. Time at risk runs from day {start} to the cohort's {anchor} plus {offset} days, within the"
    " observation period."
)
PROPENSITY = (
    "The propensity of the target was modelled over all the people at once by logistic regression with a LASSO penalty of"
    " {penalty} per person on {count} covariates (OHDSI FeatureExtraction ids), from sums of gradients: the estimate is that of the pooled"
    " people. Covariates that fewer than {rare} % of the network's people have, or lack, were left out; quantities counted in standard"
    " deviations. The preference score is the propensity corrected for the groups' sizes."
)
STRATIFIED = (
    "People were compared within up to {strata} strata of the score, cut where a gated histogram of the network's scores comes nearest to"
    " equal shares. Adjusted risks are standardised to the strata of everyone at each hospital."
)
WEIGHTED = (
    "People were weighted by the inverse probability of the treatment that they had, stabilised, with an intercept of the hospital's own;"
    " weights above {most} count as that. Standard errors are robust and take the weights as known."
)
MATCHED = (
    "At each hospital one person of the comparator was matched to each of the target, the nearest pairs first, within {caliper} standard"
    " deviations of the score's logit there. No match leaves its hospital."
)
TRIMMED = "People with a preference score below {low} or above {high} were left out."
OUTCOME = {
    "cox": "The outcome was modelled by Cox's proportional hazards (Efron's ties), with a baseline of its own for each hospital: people are"
    " compared with others of their hospital only. The hazard ratio is given with its 95 % interval.",
    "poisson": "The outcome was modelled by Poisson regression with the time at risk as offset and an intercept of its own for each"
    " hospital. The rate ratio is given with its 95 % interval.",
    "logistic": "Having the outcome in the time at risk was modelled by logistic regression with an intercept of its own for each"
    " hospital. The odds ratio is given with its 95 % interval.",
}
RISKS = "Risks to day {horizon} are of rates in {pieces} equal intervals (occurrence over exposure) with robust intervals, crude and adjusted."
CURVES = "Survival curves are Kaplan-Meier's of the people as they are, on the finest grid that rests on enough people."
OPENED = (
    "The outcome was asked about only where all diagnostics passed: every standardised mean difference after adjusting below {smd}, at"
    " least {equipoise} % of people with a preference score of 0.3 to 0.7, a minimum detectable rate ratio below {mdrr}, and an expected"
    " absolute systematic error (EASE) of {controls} negative controls below {ease}. Differences that rest on too few people to be shown"
    " were not judged. Where five negative controls or more have an estimate, the effect is calibrated by them too (Schuemie et al.)."
)
SEPARATELY = (
    "Each hospital answered by itself: it has a propensity model, cut points (of counts in {parts} parts) and diagnostics of its own. Ratios"
    " were put together by a random-effects model (REML; Hartung, Knapp, Sidik and Jonkman), with the range in which another hospital's"
    " would lie. That is no substitute for the model over all hospitals' people at once."
)
DESPITE = "The asker had the outcome opened even if diagnostics failed, for this reason: {reason}"
TEMPLATES = (
    COMPARED,
    PROPENSITY,
    STRATIFIED,
    WEIGHTED,
    MATCHED,
    TRIMMED,
    *OUTCOME.values(),
    RISKS,
    CURVES,
    OPENED,
    SEPARATELY,
    DESPITE,
)


def methods(spec: Effect) -> tuple[str, ...]:
    """What was done, a paragraph each."""
    told = [
        COMPARED.format(
            target=spec.target.name,
            comparator=spec.comparator.name,
            outcome=spec.outcome.name,
            start=spec.start_offset,
            anchor=spec.end_anchor,
            offset=spec.end_offset,
        ),
        PROPENSITY.format(
            penalty=f"{spec.penalty:g}", count=len(covariates_of(spec)), rare=f"{100 * spec.rare:g}"
        ),
    ]
    match spec.adjustment:
        case "stratify":
            told.append(STRATIFIED.format(strata=spec.strata))
        case "weight":
            told.append(WEIGHTED.format(most=f"{spec.largest_weight:g}"))
        case _:
            told.append(MATCHED.format(caliper=f"{spec.caliper:g}"))
    if spec.trim:
        told.append(TRIMMED.format(low=f"{spec.trim:g}", high=f"{1 - spec.trim:g}"))
    told += [OUTCOME[spec.model], RISKS.format(horizon=spec.horizon, pieces=spec.pieces)]
    if spec.separately:
        told.append(SEPARATELY.format(parts=PARTS))
    elif spec.curves:
        told.append(CURVES)
    opened = OPENED.format(
        smd=f"{spec.most_smd:g}",
        equipoise=f"{100 * spec.least_equipoise:g}",
        mdrr=f"{spec.most_mdrr:g}",
        controls=len(controls_of(spec)),
        ease=f"{spec.most_ease:g}",
    )
    told.append(opened)
    if spec.despite:
        told.append(DESPITE.format(reason=spec.despite))
    return tuple(told)
