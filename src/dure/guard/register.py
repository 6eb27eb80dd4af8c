"""The register of the gate's rules: the page that a data review board reads.

Responsible for: each rule's name, what it stops, its parameter, and where it is shown to hold. Not responsible for:
enforcing them (`gate`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GateRule:
    """One rule.

    Attributes:
        id: by which a refusal names it.
        stops: the attack or slip that it stops.
        parameter: the field of `dure.wire.rules.Rules` that sets it, or "" where it can't be set.
        applies: which judgement enforces it.
        shown_by: the test that shows it.
    """

    id: str
    stops: str
    parameter: str
    applies: str
    shown_by: str


LEAST_PEOPLE = GateRule(
    id="least-people",
    stops="Numbers that rest on so few people that they speak of persons; small complements likewise. A small cell is"
    " hidden with enough others that neither margins nor the funnel give it back.",
    parameter="least_people",
    applies="each hospital in by_hospital, the network's total in total",
    shown_by="tests/generative/test_guard_attacks.py",
)
ROUNDING = GateRule(
    id="rounding",
    stops="Exact counts of one hospital. It slows subtraction and doesn't prevent it.",
    parameter="round_to",
    applies="each hospital in by_hospital",
    shown_by="tests/unit/guard/test_gate.py",
)
LEAST_HOSPITALS = GateRule(
    id="least-hospitals",
    stops="A total that is one hospital's number, because the others are few or the asker's own.",
    parameter="least_hospitals",
    applies="the roster, by each node before it takes its seat and by the hub",
    shown_by="tests/unit/guard/test_gate.py",
)
BOUNDS = GateRule(
    id="bounds",
    stops="Infinite, negative or impossibly large numbers, by which one value could shine through a sum.",
    parameter="",
    applies="each hospital, before anything leaves",
    shown_by="tests/unit/guard/test_gate.py",
)
CONCENTRATION = GateRule(
    id="concentration",
    stops="A quantity of which one person makes up more than half, or a few nearly all: whoever knows the others, or knows that they"
    " are little, reads it. The root of the sum of squares may be half of the sum at most, so no share is larger.",
    parameter="",
    applies="each hospital in by_hospital, the network's total in total before it is shown",
    shown_by="tests/unit/guard/test_concentration.py",
)
CONSISTENT = GateRule(
    id="consistent",
    stops="An answer that isn't laid out as the study's parameters say, or whose parts contradict their whole.",
    parameter="",
    applies="each hospital, before anything leaves",
    shown_by="tests/unit/guard/test_gate.py",
)
SMALL_DIFFERENCE = GateRule(
    id="small-difference",
    stops="Asking about a group, then about the same group without a few people, and subtracting: over all askers, runs and"
    " dataset versions together.",
    parameter="least_people",
    applies="each hospital in by_hospital, the network's difference (summed with the support) in total",
    shown_by="tests/unit/guard/test_ledger.py",
)
COMBINATION = GateRule(
    id="combination",
    stops="Three or more answers of different studies, added and subtracted in any measure, that leave a few people: trackers,"
    " lattices of subsets.",
    parameter="least_people",
    applies="each hospital in total, over its 60 newest populations of 2k people or more",
    shown_by="tests/unit/guard/test_ledger.py",
)
BY_HOSPITAL_BESIDE = GateRule(
    id="by-hospital-beside",
    stops="A total of which all but one or two hospitals have given their numbers by themselves.",
    parameter="least_hospitals",
    applies="the network's count (summed with the support) in total, each hospital in by_hospital",
    shown_by="tests/unit/guard/test_ledger.py",
)
SATURATION = GateRule(
    id="saturation",
    stops="A model with so many coefficients that its sums can be solved for rows: fewer than k people, or hardly more"
    " events, a coefficient.",
    parameter="least_people",
    applies="each hospital in by_hospital, the network's total in total",
    shown_by="tests/unit/guard/test_gate.py",
)
LAWFUL_STATE = GateRule(
    id="lawful-state",
    stops="A question hidden in the state that the hub sends from round to round.",
    parameter="",
    applies="each node, before it computes",
    shown_by="tests/unit/node/test_hostile_hub.py",
)
MASKS = GateRule(
    id="masks",
    stops="A hub that would see one hospital's numbers before they are summed: by keys of its own, by telling hospitals"
    " different things, by asking for both secrets of one hospital, or for a sum of too few.",
    parameter="",
    applies="each node in total, before it masks, agrees or tells a piece",
    shown_by="tests/unit/study/test_party.py",
)
SAME_ROSTER = GateRule(
    id="same-roster",
    stops="Two sums over the same people, of one run or two, whose lists of hospitals differ by one or two: their difference"
    " is those hospitals' numbers.",
    parameter="least_hospitals",
    applies="each node in total, before it gives numbers and before it agrees to a sum",
    shown_by="tests/unit/study/test_party.py",
)
NOISE = GateRule(
    id="noise",
    stops="Noise that means nothing: shares of fewer hospitals than were reckoned with, numbers that no bound of one person"
    " limits, an answer without noise where the permit wants it.",
    parameter="noise",
    applies="each node in total, before it computes, masks or agrees; the network before it asks",
    shown_by="tests/unit/guard/test_noise.py",
)
NOISE_BUDGET = GateRule(
    id="noise-budget",
    stops="Noised answers without end, whose noise averages out: over all askers, runs and dataset versions together.",
    parameter="",
    applies="each node in total, before it signs and before it computes; `budget` in node.yaml",
    shown_by="tests/unit/node/test_budget.py",
)

REGISTER = (
    LEAST_PEOPLE,
    ROUNDING,
    LEAST_HOSPITALS,
    BOUNDS,
    CONCENTRATION,
    CONSISTENT,
    SMALL_DIFFERENCE,
    COMBINATION,
    BY_HOSPITAL_BESIDE,
    SATURATION,
    LAWFUL_STATE,
    MASKS,
    SAME_ROSTER,
    NOISE,
    NOISE_BUDGET,
)
