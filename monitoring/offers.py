"""`make offers`: the week's list to who gets an offer and who is held out; `make offers-effect`: what offers did.

The campaign is one file that grows with each week's list. It has customer ids: mode 0600, and never in a report.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from churn.activity.labels import HORIZON_DAYS, KINDS, Definition
from churn.command import run, say, show
from churn.errors import ReportError, SettingError, TreatmentsError
from churn.files import replace_file
from churn.moments import EPOCH
from monitoring.findings.summary import Summary
from monitoring.labels.campaign import CHANCE, FEWER, Effect, effect, first_rows, needed, power, week_of_answer
from monitoring.labels.hold_out import HELD_OUT_SHARE, check_campaign, day_text, extended, new_offers
from monitoring.labels.outcomes import CampaignOutcomes, EventsOfCampaign
from monitoring.labels.treatments import HELD_OUT, Treatment, treatments
from monitoring.reports.report_folder import AT_RISK, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.at_risk import AtRisk, read_table

DEFAULT_FILE: Final = Path("data/offers.csv")
ASSIGN: Final = "assign"
EFFECT: Final = "effect"


@dataclass(frozen=True)
class WeeklyList:
    """The customers at risk of a week, and the day of their newest features in days since 1970."""

    week: Week
    day: int
    customers: list[AtRisk]


def lists(reports: ReportFolder) -> Iterator[WeeklyList]:
    """Every list there is, oldest first.

    Raises:
        ReportError: one is damaged.
    """
    for week, summary in reports.summaries(say).items():
        content = reports.read(week, AT_RISK)
        if content is not None:
            yield WeeklyList(week, _newest_day(summary), read_table(content, reports.week(week) / AT_RISK))


def _newest_day(summary: Summary) -> int:
    newest = [datetime.fromisoformat(entry.as_of[1]) for entry in summary.models if entry.as_of is not None]
    return (max(newest, default=Week.parse(summary.week).start) - EPOCH).days


def first_listed(found: Sequence[WeeklyList]) -> dict[str, int]:
    """The day of the first list that each customer is on."""
    first: dict[str, int] = {}
    for one in found:
        for customer in one.customers:
            first[customer.customer_id] = min(one.day, first.get(customer.customer_id, one.day))
    return first


def main() -> None:
    arguments = _arguments(sys.argv[1:])
    if arguments.file.suffix != ".csv":
        raise SettingError("file", str(arguments.file), "a name that ends in .csv")
    found = list(lists(ReportFolder(arguments.reports)))
    for line in {ASSIGN: _assign, EFFECT: _effect}[arguments.action](arguments, found):
        show(line)


def _assign(arguments: argparse.Namespace, found: Sequence[WeeklyList]) -> Iterator[str]:
    """Add a week's list to the campaign."""
    chosen = _chosen(arguments, found)
    day = chosen.day if arguments.date is None else _day(arguments.date, chosen.day)
    campaign = treatments(arguments.file) if arguments.file.exists() else []
    check_campaign(arguments.file, campaign, first_listed(found), _unlisted_before(campaign, found))
    definition = Definition(horizon_days=arguments.horizon_days)
    listed = [customer.customer_id for customer in chosen.customers]
    added = new_offers(listed, day, campaign, definition.horizon_days, arguments.seed)
    replace_file(arguments.file, extended(arguments.file, added), 0o600)
    groups = Counter(one.group for one in added)
    held_out = groups[HELD_OUT]
    yield (
        f"week {chosen.week}: {len(listed):,} customers at risk; {len(added) - held_out:,} get an offer, {held_out:,} "
        f"are held out, {len(listed) - len(added):,} are in the campaign already"
    )
    yield f"offers: {arguments.file}"


def _unlisted_before(campaign: Sequence[Treatment], found: Sequence[WeeklyList]) -> set[str]:
    """Customers of the campaign from before the oldest list that is left: their lists are gone."""
    oldest = min((one.day for one in found), default=0)
    return {one.customer_id for one in campaign if one.day < oldest}


def _chosen(arguments: argparse.Namespace, found: Sequence[WeeklyList]) -> WeeklyList:
    wanted = None if arguments.week is None else Week.parse(arguments.week)
    weeks = [one for one in found if wanted in (None, one.week)]
    if not weeks:
        which = "a week" if wanted is None else f"week {wanted}"
        raise ReportError(f"{arguments.reports} has no {AT_RISK} of {which}; make the report first: make report")
    return weeks[-1]


def _day(text: str, first: int) -> int:
    """The day of the offers, not before the list."""
    expected = f"a date such as 2018-11-05, {day_text(first)} or later, which is the date of the list"
    try:
        day = (date.fromisoformat(text) - EPOCH.date()).days
    except ValueError as error:
        raise SettingError("DATE", text, expected) from error
    if day < first:
        raise SettingError("DATE", text, expected)
    return day


def _effect(arguments: argparse.Namespace, found: Sequence[WeeklyList]) -> Iterator[str]:
    """Describe the effect of the campaign's offers, as far as it is known."""
    if not arguments.events:
        raise SettingError("EVENTS", arguments.events, "a log of events that goes on past the offers")
    campaign = treatments(arguments.file)
    events = EventsOfCampaign(arguments.events)
    known = events.known({one.customer_id for one in campaign})
    check_campaign(arguments.file, campaign, first_listed(found), known)
    rows = first_rows(campaign)
    if not rows:
        raise TreatmentsError(arguments.file, "file", "content", "no customer", "the list of a week: make offers")
    definition = Definition(arguments.label, arguments.horizon_days)
    outcomes = events.outcomes(rows, definition)
    result = effect(outcomes.judged)
    yield from _counts(rows, outcomes, result)
    yield from _answer(rows, result, _leaving(rows, found, result), definition)
    if arguments.offer_cost is not None and arguments.kept_value is not None:
        profit = result.profit(arguments.offer_cost, arguments.kept_value)
        yield f"profit of the offers: {profit.value:,.0f} (95 % interval {profit.low:,.0f} to {profit.high:,.0f})"


def _counts(rows: Sequence[Treatment], outcomes: CampaignOutcomes, result: Effect) -> Iterator[str]:
    yield f"{len(rows):,} customers; {outcomes.pending:,} are within their horizon, {outcomes.gone:,} had left before"
    for name, arm in (("offered", result.offered), ("held out", result.held_out)):
        yield f"{name}: {arm.left:,} of {arm.customers:,} left" + (f" ({arm.share:.1%})" if arm.customers else "")


def _leaving(rows: Sequence[Treatment], found: Sequence[WeeklyList], result: Effect) -> float:
    """Share of the list's customers who would leave: as the model says, or as those who were held out did."""
    probability = {customer.customer_id: customer.churn_probability for one in found for customer in one.customers}
    listed = [probability[one.customer_id] for one in rows if one.customer_id in probability]
    leaving = sum(listed) / len(listed) if listed else result.held_out.share
    return min(max(leaving, 0.01), 0.99)


def _answer(rows: Sequence[Treatment], result: Effect, leaving: float, definition: Definition) -> Iterator[str]:
    judged = result.offered.customers + result.held_out.customers
    enough = needed(leaving)
    if result.offered.customers and result.held_out.customers:
        yield f"kept by the offer, of the offered: {result.kept}"
    if judged < enough:
        week = week_of_answer([one.day for one in rows], enough, definition.horizon_days)
        chance = f"{power(leaving, judged):.0%}" if judged else "0%"
        yield (
            f"cannot be told before week {week}: that an offer keeps {FEWER:.0%} of those who would leave shows with a "
            f"chance of {CHANCE:.0%} among {enough:,} customers; {judged:,} are known (chance {chance})"
        )
    elif result.kept.low > 0:
        yield f"the offer keeps customers; offers for one kept: {_one_decimal(result)}"
    elif result.kept.high < 0:
        yield "the offer drives customers away: stop it"
    else:
        yield "no effect of the offer can be seen, among enough customers to see one that pays"


def _one_decimal(result: Effect) -> str:
    offers = result.offers_per_kept
    return f"{offers.value:.1f} (95 % interval {offers.low:.1f} to {offers.high:.1f})"


def _arguments(options: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m monitoring.offers", description=__doc__)
    parser.add_argument("action", choices=(ASSIGN, EFFECT))
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of the weekly reports")
    parser.add_argument("--file", type=Path, default=DEFAULT_FILE, help="the campaign: customer_id, date, group (CSV)")
    parser.add_argument("--week", help="whose list, such as 2018-W44 (the newest)")
    parser.add_argument("--date", help="day of the offers (the day of the list's newest features)")
    parser.add_argument("--seed", type=int, default=7, help="decides who is held out")
    parser.add_argument("--horizon-days", type=int, default=HORIZON_DAYS, help="how long a customer's group lasts")
    parser.add_argument("--label", choices=KINDS, default=KINDS[0], help="what leaving is")
    parser.add_argument("--events", help="a newer log of events, for the effect")
    parser.add_argument("--offer-cost", type=float, help="of one offer, for the profit")
    parser.add_argument("--kept-value", type=float, help="of one customer who stays, in the same money")
    parser.epilog = f"{HELD_OUT_SHARE:.0%} of the customers are held out."
    return parser.parse_args(options)


if __name__ == "__main__":
    run(main)
