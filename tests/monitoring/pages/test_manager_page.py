"""Each sentence of the manager's page follows from the summary, and is one that a manager understands."""

import html
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.contract import FEATURES, NAMES
from monitoring.drift.decision import MONITORED
from monitoring.findings.summary import FeatureSummary, Summary
from monitoring.pages import advice, changes, manager_page, trust
from monitoring.pages.changes import MOST_CHANGES
from monitoring.pages.web_page import Badge
from monitoring.pages.words import described, share
from tests.support.summaries import (
    WEEK,
    content,
    drifted,
    entry,
    metric,
    of,
    of_category,
    paging,
    performance,
    quiet,
    realised,
    too_few,
    up_to,
)

JARGON = (
    r"p-value|\bp\b|k-s|wasserstein|chi-square|\bauc\b|\bf1\b|cbpe|drift|quantile|deviation|gate\b|null|calibrat|"
    r"interval|precision|recall|shap|threshold|feature|reference|outlier|distribution"
)


def sentences(summary: Summary) -> list[str]:
    told = [sentence for section in manager_page.sections(summary).values() for sentence in section]
    return [advice.headline(summary)[1], *told]


# What changed


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (entry("adverts_7d", before=1.4, after=4.5), "Adverts heard in the last 7 days: 4.5 on average (before: 1.4)."),
        (
            entry("adverts_7d", **up_to(3), before=0.3, after=0.45),
            "Adverts heard in the last 7 days: 3 or less for 45 of 100 customers (before: 30 of 100).",
        ),
        (
            entry("os", test="one category", **of_category("it's"), before=0.1, after=0.15),
            "Operating system of the last device: “it's” for 15 of 100 customers (before: 10 of 100).",
        ),
        (
            entry("gender", test="nulls", **of("share null"), before=0.02, after=0.1),
            "Gender as the customer registered it: not known for 10 of 100 customers (before: 2 of 100).",
        ),
        (
            entry("os", test="unseen", **of("share of unseen categories"), before=0.0, after=0.05),
            (
                "Operating system of the last device: "
                "a value never seen before for 5 of 100 customers (before: 0 of 100)."
            ),
        ),
        (
            entry("songs_7d", test="absent", **of("share of rows with the column"), before=1.0, after=None),
            "Songs played in the last 7 days: missing from the data altogether.",
        ),
        (
            entry("songs_7d", test="spread", **of("mean distance from the median"), before=2.0, after=3.0),
            "Songs played in the last 7 days: customers differ more than before.",
        ),
        (
            entry("songs_7d", test="spread", **of("mean distance from the median"), before=3.0, after=2.0),
            "Songs played in the last 7 days: customers are more alike than before.",
        ),
        (
            entry("churn_probability", before=0.15, after=0.19),
            "The chance of leaving, as the model sees it: 19% on average (before: 15%).",
        ),
        (
            entry("churn_probability", **up_to(0.2), before=0.6, after=0.45),
            "The chance of leaving, as the model sees it: 20% or less for 45 of 100 customers (before: 60 of 100).",
        ),
        (
            entry("will_churn", test="chi-square", **of_category("false"), before=0.95, after=0.8),
            "Customers at risk, as the model sees it: 20 of 100 (before: 5 of 100).",
        ),
        (
            entry("will_churn", test="chi-square", **of_category("true"), before=0.05, after=0.2),
            "Customers at risk, as the model sees it: 20 of 100 (before: 5 of 100).",
        ),
    ],
)
def test_a_change_is_told_in_words(changed: dict[str, Any], sentence: str) -> None:
    assert changes.change(FeatureSummary.model_validate(changed)) == sentence


def test_a_change_of_a_report_made_before_its_measure_was_told_is_not_guessed_at() -> None:
    older = entry("os", test="one category")
    del older["measure"]
    told = changes.change(FeatureSummary.model_validate(older))
    assert told == "Operating system of the last device: changed; the technical report says how."


def test_what_matters_most_is_told_first_and_what_belongs_together_once() -> None:
    summary = drifted(
        features=[
            entry("level", severity="warning", importance=0.5),
            paging("songs_7d", importance=0.05),
            paging("adverts_14d", importance=0.06),
            paging("adverts_7d", importance=0.12),
        ]
    )
    first, second, third = changes.changes(summary)
    assert first.startswith("Adverts heard in the last 7 days")
    assert first.endswith("The same shows in 1 related figure.")
    assert second.startswith("Songs played")
    assert third.startswith("Plan of the customer")
    assert third.endswith("This may still be chance.")


def test_only_some_changes_are_told_and_the_rest_is_counted() -> None:
    names = ["songs_7d", "adverts_7d", "errors_7d", "level", "os", "gender", "sessions_7d"]
    told = changes.changes(drifted(features=[paging(name) for name in names]))
    assert len(told) == MOST_CHANGES + 1
    assert told[-1] == "And 2 further changes, in the technical report."


@pytest.mark.parametrize(
    ("onset", "sentence"),
    [("sudden", "This is new since last week."), ("gradual", "This came gradually, or came earlier and stayed.")],
)
def test_a_sudden_change_is_told_from_a_slow_one(onset: str, sentence: str) -> None:
    assert sentence in changes.changes(drifted(onset={"adverts_7d": onset}))[0]


@pytest.mark.parametrize(
    ("segment", "where"),
    [
        ({"feature": "level", "category": "free"}, "on the free plan"),
        ({"feature": "os", "category": "Mac OS X"}, "on Mac OS X"),
        ({"feature": "tenure_days", "at_least": 30.0, "below": 90.0}, "registered for 30 to 90 days"),
        ({"feature": "tenure_days", "at_least": 365.0}, "registered for 365 days or more"),
    ],
)
def test_a_change_is_told_with_where_it_is_largest(segment: dict[str, Any], where: str) -> None:
    paid = {"comparison": "level=paid", "feature": "adverts_7d", "segment": {"feature": "level", "category": "paid"}}
    largest = {"comparison": "the largest", "feature": "adverts_7d", "segment": segment}
    listed = [{"comparison": "previous week", "feature": "adverts_7d"}, largest, paid]
    (only,) = changes.changes(drifted(ranking=listed))
    assert f"It is largest among customers {where}." in only
    assert "paid" not in only


def test_without_a_change_nothing_is_told() -> None:
    assert changes.changes(quiet()) == ["Nothing has changed enough to matter."]


def test_too_few_customers_give_no_verdict_and_no_change() -> None:
    summary = too_few()
    assert advice.headline(summary)[0] == Badge("too-few", "no verdict possible")
    assert changes.changes(summary) == [
        "We cannot tell: 150 customers this week, compared with 5,000 in the training data, are too few."
    ]
    assert advice.weight(summary) == ["We cannot tell without a verdict."]
    assert advice.advice(summary)[0] == "Draw no conclusions from this week's figures."


# Does it matter, and what to do


@pytest.mark.parametrize(
    ("importance", "answer"),
    [
        (0.25, "Yes: what changed has 25% of the weight in the model's decisions."),
        (0.01, "Hardly: the model gives little weight to what changed."),
        (None, "We do not know how much weight the model gives to what changed."),
    ],
)
def test_whether_it_matters_follows_from_the_models_weight(importance: float | None, answer: str) -> None:
    assert advice.weight(drifted(features=[paging("songs_7d", importance=importance)]))[0] == answer


def test_the_share_at_risk_stands_beside_that_of_the_training_data() -> None:
    assert advice.weight(quiet()) == [
        "No: nothing that the model uses has changed enough to matter.",
        "The model flags 12 of 100 customers; among its training customers: 9 of 100.",
    ]


def test_a_quiet_week_says_go_on() -> None:
    (only,) = advice.advice(quiet())
    assert only.startswith("Work through this week's list from the top")


def test_a_change_that_matters_asks_for_care_and_one_that_does_not_lets_go_on() -> None:
    serious = advice.advice(drifted(features=[paging("songs_7d", importance=0.2)]))
    assert "do not rely on the chances" in serious[0]
    assert "learn again" in serious[1]
    trifle = advice.advice(drifted(features=[paging("songs_7d", importance=0.001)]))
    assert trifle == ["You can use the list as usual; tell the data team about the change."]


def test_changed_answers_always_matter() -> None:
    summary = drifted(features=[paging("will_churn", test="chi-square", **of_category("true"), importance=1.0)])
    assert "do not rely on the chances" in advice.advice(summary)[0]


@pytest.mark.parametrize("test", ["nulls", "absent", "mistyped", "outside", "unseen"])
def test_broken_data_is_asked_about_first(test: str) -> None:
    told = advice.advice(drifted(features=[paging("os", test=test, importance=0.2)]))
    assert told[0] == (
        "Ask the data team first whether something is broken in the data: Operating system of the last device."
    )


# Customers at risk, and how sure


def test_the_customers_at_risk_are_counted_and_their_list_is_named() -> None:
    assert advice.at_risk(quiet()) == [
        "144 customers are at risk of leaving.",
        "The model looked at 1,200 customers; it flagged 12 of 100.",
        "They are in the list beside this page (at_risk.csv), each with up to three reasons.",
    ]
    assert advice.at_risk(quiet(at_risk={"flagged": 1, "listed": 1}))[0] == "1 customer is at risk of leaving."
    assert "The 50 likeliest of them" in advice.at_risk(quiet(at_risk={"flagged": 144, "listed": 50}))[2]


def test_the_hit_rate_is_put_in_words_and_marked_as_estimated() -> None:
    certainty = trust.certainty(quiet())
    assert certainty[0] == "Of 100 customers flagged, about 41 would leave (34 to 48, estimated)."
    assert certainty[-1] == "We will know how many really left after 4 December 2018."
    assert not any("counted afterwards" in sentence for sentence in certainty)


def test_what_really_happened_comes_before_the_estimate() -> None:
    certainty = trust.certainty(quiet(performance=performance(realised=realised(), pending=None)))
    assert certainty[0] == "Of 100 customers flagged, 38 did leave (31 to 45, counted afterwards)."
    assert "Of 100 customers flagged, about 41 would leave (34 to 48, estimated)." in certainty
    assert not any("We will know" in sentence for sentence in certainty)


def test_a_model_that_is_worse_than_it_thought_is_told() -> None:
    summary = quiet(performance=performance(realised=realised(precision=metric(0.2, 0.05)), pending=None))
    assert any("Fewer flagged customers left than estimated" in sentence for sentence in trust.certainty(summary))
    assert any("learn again" in sentence for sentence in advice.advice(summary))
    alike = quiet(performance=performance(realised=realised(), pending=None))
    assert not any("Fewer" in sentence for sentence in sentences(alike))


def test_an_order_no_better_than_chance_is_told() -> None:
    guessing = quiet(performance=performance(realised=realised(auc=metric(0.53)), pending=None))
    assert "As far as this week shows, that order is no better than chance." in trust.certainty(guessing)
    assert any("before you spend much" in sentence for sentence in advice.advice(guessing))
    better = quiet(performance=performance(realised=realised(auc=metric(0.56)), pending=None))
    assert not any("chance." in sentence for sentence in sentences(better))


def test_what_the_figures_leave_out_is_told_with_them() -> None:
    noted = realised() | {"notes": ["only 3 customers churned: too few to conclude anything from these figures"]}
    told = trust.certainty(quiet(performance=performance(realised=noted)))
    assert "Only 3 customers churned: too few to conclude anything from these figures." in told


def test_labels_of_nobody_are_told_as_such() -> None:
    nobody = realised() | {"customers": 0, "churners": 0, "metrics": {}}
    summary = quiet(performance=performance(realised=nobody, pending=None))
    assert "We do not know yet who left within 30 days." in trust.basis(summary)
    assert not any("counted afterwards" in sentence for sentence in trust.certainty(summary))


def test_customers_without_an_offer_are_told_apart() -> None:
    known = realised() | {"untreated": {"metrics": {"precision": metric(0.5)}}}
    certainty = trust.certainty(quiet(performance=performance(realised=known)))
    assert "Among customers who were made no offer, 50 of 100 flagged did leave." in certainty


def test_without_figures_nothing_is_claimed() -> None:
    empty = performance(estimated=None, pending=None)
    assert trust.certainty(quiet(performance=empty)) == ["We do not know how often the model is right this week."]


# What it rests on


def test_rows_and_dates_are_named() -> None:
    summary = quiet(
        volume={"predictions": 1300, "customers": 1200, "change": -0.133, "previous_predictions": 1500},
        stale={"older_than_hours": 48, "predictions": 20, "share": 0.0154},
        log={"partial": 1, "foreign": 1, "other_contract": 0, "unusable": [{"file": "a"}]},
        performance=performance(realised=realised()),
    )
    assert trust.basis(summary) == [
        (
            "The model gave 1,300 answers about 1,200 customers, based on their activity up to 29 October 2018 "
            "(4 November 2018 at the latest)."
        ),
        "“Before” means the 5,000 customers that the model learned from, as of 24 September 2018.",
        ("We know of 1,200 customers whether they left within 30 days: 190 did (activity log up to 10 December 2018)."),
        "In total, the service gave 1,300 answers this week, 13% fewer than the week before (1,500).",
        "2 of 100 answers used data more than 48 hours old.",
        "The model is churn:a1b2c3.",
        "2 lines of the log, in 1 file, could not be used.",
    ]


def test_further_models_are_named() -> None:
    models = [*content()["models"], {"model": "churn:old", "predictions": 9, "customers": 9, "verdict": "ok"}]
    assert any("1 more answered this week (churn:old)" in sentence for sentence in trust.basis(quiet(models=models)))


# All of it


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (0.0, "0 of 100"),
        (0.12, "12 of 100"),
        (0.004, "4 of 1,000"),
        (0.0001, "fewer than 1 of 1,000"),
        (0.999, "more than 99 of 100"),
        (1.0, "100 of 100"),
    ],
)
def test_a_share_is_told_as_people(part: float, words: str) -> None:
    assert share(part) == words


@given(st.floats(min_value=0, max_value=1, exclude_min=True, exclude_max=True))
def test_something_is_never_told_as_nothing_nor_as_all(part: float) -> None:
    assert not re.match(r"0 of|100 of 100$", share(part))


@pytest.mark.parametrize("feature", FEATURES, ids=NAMES)
def test_every_feature_has_a_name_that_a_manager_understands(feature: Any) -> None:
    words = described(feature.name)
    assert feature.name not in words
    assert "_" not in words
    assert not re.search(JARGON, words, re.IGNORECASE)
    assert words[0].isupper()
    assert not words.endswith((".", ",", ";"))


WEEKS = {
    "quiet": quiet(),
    "warning": quiet(severity="warning", features=[entry("os", severity="warning", effect=0.2)]),
    "drift": drifted(),
    "everything": drifted(features=[paging(one.name, importance=0.01) for one in MONITORED]),
    "broken": drifted(features=[paging("os", test="nulls", **of("share null"), before=0.0, after=0.5)]),
    "too few": too_few(),
    "known": quiet(performance=performance(realised=realised(precision=metric(0.1)))),
    "empty": Summary(schema_version=1, week=str(WEEK), model="churn:a", predictions=0, customers=0, models=()),
}


@pytest.mark.parametrize("name", WEEKS)
def test_the_page_has_no_jargon_and_no_column_names(name: str) -> None:
    for sentence in sentences(WEEKS[name]):
        assert not re.search(JARGON, sentence, re.IGNORECASE), sentence
        assert not any(re.search(rf"\b{column}\b", sentence) for column in NAMES if "_" in column), sentence
        assert sentence[0].isupper() or sentence[0].isdigit() or sentence[0] == "“"
        assert sentence.endswith(".")


@pytest.mark.parametrize("name", WEEKS)
def test_every_sentence_stands_on_the_page(name: str) -> None:
    page = html.unescape(manager_page.page(WEEKS[name]).decode())
    assert all(sentence in page for sentence in sentences(WEEKS[name]))
    assert '<a href="../index.html">All weeks</a>' in page
    assert '<a href="drift.html">' in page
    assert "<script" not in page


def test_what_was_logged_is_text_on_the_page() -> None:
    attack = "</li></script><script>document.title='run'</script>"
    odd = paging("os", **of_category(attack), test="one category", before=0.1, after=0.5)
    summary = drifted(
        features=[odd], model=attack, ranking=[{"feature": "os", "segment": {"feature": "os", "category": attack}}]
    )
    page = manager_page.page(summary).decode()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3
