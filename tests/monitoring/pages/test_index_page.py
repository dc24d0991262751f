"""All weeks at a glance: nothing missing looks fine, what matters stands first, and nothing logged is markup."""

import re
from typing import Any

import pytest

from monitoring.drift.decision import MONITORED
from monitoring.findings.summary import Summary
from monitoring.pages import index_page
from monitoring.pages.feature_courses import CHART_WEEKS, described
from monitoring.pages.index_page import MAXIMUM_WEEKS
from monitoring.pages.web_page import verdict_badge
from monitoring.reports.week import Week
from tests.support.summaries import (
    WEEK,
    content,
    drifted,
    entry,
    paging,
    performance,
    quiet,
    realised,
    season,
    too_few,
    weeks,
)

COUNTS = {"predictions": 9, "customers": 9}
ATTACK = "</script><script>document.title='run'</script>"


def page(summaries: dict[Week, Summary]) -> str:
    return index_page.page(summaries).decode()


def lines(found: str) -> dict[str, str]:
    """The line of each week."""
    row = r'<tr role="row"[^>]*>\s*<td role="cell"><strong>(\d{4}-W\d\d)</strong>(.*?)</tr>'
    rows = re.findall(row, found, re.DOTALL)
    return dict(rows)


def features(found: str) -> list[str]:
    return re.findall(r'<li><div class="name">.*?<code[^>]*>([^<]*)</code>', found, re.DOTALL)


def test_without_a_report_the_page_says_so() -> None:
    assert "There is no report yet" in page({})


def test_the_weeks_stand_newest_first_and_those_without_a_report_are_missing() -> None:
    shown = lines(page(season(12, missing=(6, 7))))
    assert list(shown) == [str(week) for week in weeks(12)[::-1]]
    missing = [name for name, line in shown.items() if "no report" in line]
    assert missing == [str(week) for week in weeks(12)[6:8][::-1]]
    assert not any('class="badge ok"' in shown[name] for name in missing)


def test_the_open_end_is_said() -> None:
    found = page(season(3))
    assert "The reports end with 2018-W44, 29 October to 4 November 2018" in found
    assert "no report yet</span> after 2018-W44" in found


def test_a_week_has_its_figures_each_with_that_of_the_training_data() -> None:
    line = lines(page({WEEK: quiet()}))[str(WEEK)]
    for figure in ("1,200", "1,300 predictions", "12.0%", "9.0% in training", "0.155", "0.151 in training"):
        assert f">{figure}<" in line, figure
    for target in ("manager.html", "drift.html", "summary.json"):
        assert f'<a href="2018-W44/{target}">' in line


def test_what_is_not_known_yet_has_the_date_when_it_is() -> None:
    line = lines(page({WEEK: quiet()}))[str(WEEK)]
    estimated, realised_cell = line.split('data-name="Realised"')
    assert "0.73 (0.69 to 0.77)" in estimated.split('data-name="Estimated"')[1]
    assert 'not yet known</div><div class="soft small">known after 4 December 2018' in realised_cell


def test_what_is_known_stands_beside_the_estimate() -> None:
    known = quiet(performance=performance(realised=realised(), pending=None))
    cell = lines(page({WEEK: known}))[str(WEEK)].split('data-name="Realised"')[1]
    assert "0.70 (0.66 to 0.74)" in cell
    assert "0.42 (0.38 to 0.46)" in cell
    assert "not yet known" not in cell


def test_labels_that_are_known_in_part_say_how_many_are_not() -> None:
    known = quiet(performance=performance(realised=realised()))
    cell = lines(page({WEEK: known}))[str(WEEK)].split('data-name="Realised"')[1]
    assert "0.70 (0.66 to 0.74)" in cell
    assert "1,200 more known after 4 December 2018" in cell


def test_a_week_without_any_performance_does_not_pretend() -> None:
    line = lines(page({WEEK: quiet(performance={})}))[str(WEEK)]
    assert "no estimate" in line
    assert "not known" in line


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        (quiet(), "ok"),
        (quiet(severity="warning"), "ok, with a warning"),
        (drifted(), "drift"),
        (too_few(), "too few"),
        (quiet(verdict=None), "no verdict"),
    ],
)
def test_a_verdict_is_a_word_and_a_sign_not_a_colour_only(summary: Summary, words: str) -> None:
    badge = verdict_badge(summary.verdict, summary.severity)
    assert badge.words == words
    shown = f'class="badge {badge.tone}"><span aria-hidden="true">{badge.sign}</span> {words}<'
    assert page({WEEK: summary}).count(shown) >= 2


def test_every_model_of_a_week_is_reported() -> None:
    others = [
        content()["models"][0],
        COUNTS | {"model": "churn:old", "verdict": "drift", "severity": "page", "page": "drift-churn-old.html"},
        COUNTS | {"model": "churn:gone", "verdict": None, "refused": "churn:gone is not in the model store"},
    ]
    line = lines(page({WEEK: quiet(models=others)}))[str(WEEK)]
    assert 'churn:old <a href="2018-W44/drift-churn-old.html">' in line
    assert "not compared</span> churn:gone: churn:gone is not in the model store" in line


def test_lines_that_were_left_out_are_counted() -> None:
    log = {"partial": 1, "foreign": 2_000, "other_contract": 0, "unusable": [{"file": "a"}, {"file": "b"}]}
    assert "Lines of the log left out: 1 truncated, 2,000 foreign, in 2 files" in page({WEEK: quiet(log=log)})


def test_every_feature_has_a_line_with_a_chart() -> None:
    found = page(season(8))
    assert sorted(features(found)) == sorted(feature.name for feature in MONITORED)
    assert found.count('<svg class="spark"') == len(MONITORED) + 1  # the legend


def test_what_drifted_and_matters_comes_first() -> None:
    now = [
        paging("songs_7d", importance=0.01, effect=0.9),
        paging("adverts_7d", importance=0.2),
        entry("os", severity="warning", importance=0.3),
        entry("level", importance=0.4),
        entry("gender", importance=0.02),
    ]
    before = [paging("gender", importance=0.02)]
    order = features(page({WEEK.previous: drifted(WEEK.previous, features=before), WEEK: drifted(features=now)}))
    assert order[:5] == ["adverts_7d", "songs_7d", "os", "gender", "level"]


def test_a_missing_week_is_a_gap_in_every_chart_and_so_is_one_with_too_few() -> None:
    summaries = season(6, missing=(2,))
    summaries[weeks(6)[3]] = too_few(weeks(6)[3])
    found = page(summaries)
    charts = re.findall(r'<svg class="spark".*?</svg>', found)[1:]
    assert all(chart.count('class="gap"') == 2 for chart in charts)
    assert all("2018-W41: no verdict; 2018-W42: no verdict" in chart for chart in charts)


def test_a_feature_that_was_not_tested_is_not_called_fine() -> None:
    untested = {"feature": "os", "severity": "none", "test": None, "sentence": "os: not tested"}
    found = page({WEEK: quiet(features=[untested])})
    assert re.search(r"<code[^>]*>os</code>.*?<div class=\"state\">not tested<", found, re.DOTALL)


def test_the_page_stays_small_and_says_what_it_leaves_out() -> None:
    found = page(season(200))
    assert len(found) < 1_000_000
    assert len(lines(found)) == 200
    assert f"The charts cover at most the {CHART_WEEKS} newest weeks" in found
    assert f"{200 - CHART_WEEKS} older weeks</summary>" in found
    charts = re.findall(r"<title>([^<]*)</title>", found)[2:]
    assert {chart.count("2018-W") + chart.count("2017-W") for chart in charts} == {CHART_WEEKS}


def test_a_gap_is_not_filled_for_ever() -> None:
    ancient = Week.parse("1990-W01")
    found = page({ancient: quiet(ancient), WEEK: quiet()})
    assert len(lines(found)) == MAXIMUM_WEEKS
    assert "1 still older report not listed" in found


def test_what_was_logged_is_text() -> None:
    refused = COUNTS | {"model": ATTACK, "verdict": None, "refused": ATTACK}
    other = COUNTS | {"model": ATTACK, "verdict": "ok", "page": ATTACK + '"'}
    changed: dict[str, Any] = {"sentence": ATTACK, "page": ATTACK + '"', "models": [refused, refused, other]}
    odd = entry(ATTACK, measured=ATTACK, sentence=ATTACK, severity="page")
    found = page({WEEK: quiet(WEEK, **changed, features=[odd])})
    assert "<script" not in found
    assert "&lt;script&gt;" in found
    assert not re.search(r'href="[^"]*[<>]', found)


def test_the_page_needs_no_script_and_no_other_file() -> None:
    found = page(season(4))
    assert "<script" not in found
    assert not re.search(r'(src|href)="https?://', found)
    assert '<link rel="icon" href="data:,">' in found


def test_a_feature_is_described_in_words() -> None:
    assert described("adverts_7d") == "Adverts heard in the last 7 days"
    assert described("will_churn") == "Whether the probability is past the model's threshold"
    assert described("of an older contract") == "of an older contract"
