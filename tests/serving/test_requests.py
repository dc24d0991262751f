"""Requests: what is valid comes through unchanged, what is not is refused with its row and field."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from churn.contract import CATEGORICAL, FEATURES, NAMES, NULLABLE, NUMERIC, Customer, example_customer
from serving import request_problems, requests
from serving.api import MAXIMUM_EXPLAIN, MAXIMUM_PREDICT
from serving.batch import by_columns
from serving.refusals import RequestError
from serving.request_moments import CLOCK_TOLERANCE, Moments
from serving.request_problems import SHOWN_PROBLEMS
from serving.requests import parse_explain, parse_predict, parse_together
from tests.support.examples import examples

NOW = datetime(2018, 11, 2, 12, tzinfo=UTC)


def body(*customers: Any, **more: Any) -> bytes:
    return json.dumps({"customers": list(customers)} | more).encode()


def customer(**changes: Any) -> dict[str, Any]:
    return example_customer() | changes


def refusal(content: bytes, now: datetime = NOW) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse_predict(content, now)
    return caught.value


def only_problem(content: bytes) -> tuple[int, list[str | int], str]:
    refused = refusal(content)
    [problem] = refused.detail
    return refused.status, problem.loc, problem.msg


def test_a_valid_request_comes_through_unchanged() -> None:
    second = customer(customer_id="31", as_of="2018-11-01T23:30:00.250-02:00", gender=None, tenure_days=None)
    batch = parse_predict(body(customer(), second), NOW)
    assert batch.customer_ids == ["30", "31"]
    assert batch.as_of == ["2018-11-02T00:00:00Z", "2018-11-02T01:30:00.250Z"]
    assert list(batch.features[0]) == list(NAMES)
    assert batch.features == [{name: values[name] for name in NAMES} for values in (customer(), second)]


def test_requests_together_are_what_each_is_alone() -> None:
    bodies = [body(customer(os="Plan 9"), customer(customer_id="31")), body(customer(gender=None)), body(customer())]
    together, spans = parse_together(bodies, NOW)
    assert spans == [slice(0, 2), slice(2, 3), slice(3, 4)]
    for content, span in zip(bodies, spans, strict=True):
        assert isinstance(span, slice)
        alone = parse_predict(content, NOW)
        assert together.customer_ids[span] == alone.customer_ids
        assert together.as_of[span] == alone.as_of
        assert together.categories[span] == alone.categories
        assert together.features[span] == alone.features
        assert np.array_equal(together.numbers[span], alone.numbers, equal_nan=True)


WRONG = [
    b"{",
    body(),
    body(customer(songs_7d=-1)),
    body(customer(level="gold")),
    body(customer(sessions_28d=281)),
    body(customer(), customer()),
    body(customer(), threshold=0.5),
    body(customer(as_of="2018-11-03T00:00:00Z")),
    body(*[None] * (MAXIMUM_PREDICT + 1)),
]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_wrong_request_among_others_is_refused_as_if_it_were_alone_and_they_are_not(wrong: bytes, place: int) -> None:
    bodies = [body(customer(), customer(customer_id="31")), body(customer(customer_id="32"))]
    bodies.insert(place, wrong)
    together, outcomes = parse_together(bodies, NOW)
    refused = outcomes.pop(place)
    assert isinstance(refused, RequestError)
    assert (refused.status, refused.body()) == (refusal(wrong).status, refusal(wrong).body())
    assert outcomes == [slice(0, 2), slice(2, 3)]
    assert together.customer_ids == ["30", "31", "32"]
    assert together.numbers.shape == (3, len(NUMERIC))


def test_of_wrong_requests_alone_nothing_is_taken() -> None:
    together, outcomes = parse_together(WRONG, NOW)
    assert len(together) == 0
    assert [outcome.body() for outcome in outcomes if isinstance(outcome, RequestError)] == [
        refusal(wrong).body() for wrong in WRONG
    ]


def test_explain_has_its_options_and_their_defaults() -> None:
    _, options = parse_explain(body(customer()), NOW)
    assert (options.top_k, options.what_would_help) == (5, False)
    _, options = parse_explain(body(customer(), top_k=2, what_would_help=True), NOW)
    assert (options.top_k, options.what_would_help) == (2, True)


@pytest.mark.parametrize(
    ("option", "value"), [("top_k", -1), ("top_k", 10_000), ("top_k", "5"), ("what_would_help", 1)]
)
def test_a_wrong_option_is_named(option: str, value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        parse_explain(body(customer(), **{option: value}), NOW)
    assert [problem.loc for problem in caught.value.detail] == [[option]]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"NaN", b'{"customers": [NaN]}', b"[" * 100_000, b'{"a": "\\ud800"}', b"{} {}"],
)
def test_what_is_not_json_is_refused(content: bytes) -> None:
    refused = refusal(content)
    assert (refused.status, refused.error) == (400, "the body is not valid JSON")


@pytest.mark.parametrize("content", [b"null", b"[]", b"3", b'"text"', b"{}"])
def test_json_of_another_kind_is_refused(content: bytes) -> None:
    assert refusal(content).status == 400


@pytest.mark.parametrize(("row", "place"), [(None, 1), ([], 1), ("30", 1), (3, 1)])
def test_a_row_that_is_no_customer_is_named(row: Any, place: int) -> None:
    assert only_problem(body(customer(), row)) == (400, ["customers", place], "expected an object")


def test_an_empty_list_is_refused() -> None:
    assert only_problem(body()) == (400, ["customers"], "empty; send at least one customer")


@pytest.mark.parametrize("name", ["customer_id", "as_of", *NAMES])
def test_every_missing_field_is_named_with_its_row(name: str) -> None:
    incomplete = customer(customer_id="31")
    del incomplete[name]
    status, place, message = only_problem(body(customer(), incomplete))
    assert (status, place) == (400, ["customers", 1, name])
    assert message.startswith("missing")


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_every_feature_refuses_wrong_types_and_values_out_of_range(feature: Any) -> None:
    wrong: list[Any] = [True, [], {}, "1" if not feature.is_category else 1]
    wrong += ["", "x" * 65] if feature.is_category else [feature.minimum - 1, feature.maximum * 1.01 + 1, 1e300, "NaN"]
    wrong += [1.5, 1.0000000001, -1.0] if feature.kind == "count" else []
    wrong += ["F?"] if feature.categories else []
    wrong += [] if feature.nullable else [None]
    for value in wrong:
        status, place, _ = only_problem(body(customer(**{feature.name: value})))
        assert (status, place) == (400, ["customers", 0, feature.name]), value


# What the contract itself accepts, before the rules between features.
ROWS = TypeAdapter(list[Customer])


def _values(feature: Any) -> st.SearchStrategy[Any]:
    """Valid and almost valid values of a feature."""
    wrong: st.SearchStrategy[Any] = st.sampled_from(
        [None, True, False, "", "x" * 64, "x" * 65, "5", [], [5], {}, 5.0, -1, 10**18, 2**64 - 1]
    )
    if feature.is_category:
        right: st.SearchStrategy[Any] = st.sampled_from(feature.categories or ("Windows", "Plan 9"))
    elif feature.kind == "count":
        right = st.integers(int(feature.minimum) - 1, int(feature.maximum) + 1)
    else:
        right = st.floats(feature.minimum, feature.maximum) | st.integers(0, int(feature.maximum) + 1)
    return st.one_of(right, right, right, wrong)


@examples(400)
@given(st.data())
def test_the_check_by_columns_accepts_exactly_what_the_contract_accepts(data: st.DataObject) -> None:
    rows = []
    for number in range(data.draw(st.integers(1, 3))):
        changed = data.draw(st.lists(st.sampled_from(FEATURES), max_size=3, unique_by=lambda feature: feature.name))
        rows.append(customer(customer_id=str(number)) | {one.name: data.draw(_values(one)) for one in changed})
    accepted = by_columns(json.loads(json.dumps(rows)), Moments(NOW))
    assert (accepted is not None) == _is_valid(rows)
    if accepted is not None:
        values = [[row[name] for name in NUMERIC] for row in rows]
        assert np.array_equal(accepted.numbers, np.array(values, dtype=np.float64), equal_nan=True)
        assert accepted.categories == [tuple(row[name] for name in CATEGORICAL) for row in rows]


def _is_valid(rows: list[dict[str, Any]]) -> bool:
    try:
        ROWS.validate_python(rows)
    except ValidationError:
        return False
    return True


def test_a_count_with_a_fraction_of_nothing_is_the_integer() -> None:
    names = [feature.name for feature in FEATURES if feature.kind == "count"]
    written = {name: float(example_customer()[name]) for name in names}
    whole, as_float = parse_predict(body(customer()), NOW), parse_predict(body(customer(**written)), NOW)
    assert json.dumps(as_float.features) == json.dumps(whole.features)
    assert np.array_equal(as_float.numbers, whole.numbers, equal_nan=True)
    assert all(type(as_float.features[0][name]) is int for name in names)


@pytest.mark.parametrize("blank", [" ", "\t\n", "\u00a0", "\u2003 ", "\x1c", "\x85", "\u3000"])
def test_a_blank_id_is_refused(blank: str) -> None:
    status, place, message = only_problem(body(customer(customer_id=blank)))
    assert (status, place, message) == (400, ["customers", 0, "customer_id"], "blank; send your id of the customer")


@pytest.mark.parametrize("other", ["104.0", " 104", "104.000 ", "104\u00a0"])
def test_two_spellings_of_one_id_are_the_same_customer(other: str) -> None:
    status, place, message = only_problem(body(customer(customer_id="104"), customer(customer_id=other)))
    assert (status, place) == (400, ["customers", 1, "customer_id"])
    assert "the same customer at the same moment as in row 0" in message
    earlier = customer(customer_id=other, as_of="2018-11-01T00:00:00Z")
    assert parse_predict(body(customer(customer_id="104"), earlier), NOW).customer_ids == ["104", other]


@pytest.mark.parametrize("other", ["0104", "104.5", "1.04E2", "104.", "a.0", "10 4"])
def test_ids_that_may_be_different_customers_are_let_in_as_they_are(other: str) -> None:
    two = [customer(customer_id="104"), customer(customer_id=other)]
    assert parse_predict(body(*two), NOW).customer_ids == ["104", other]
    together, spans = parse_together([body(*two), body(customer(customer_id="x"))], NOW)
    assert (len(together), spans) == (3, [slice(0, 2), slice(2, 3)])


@pytest.mark.parametrize(
    "row", [{}, customer() | {"more": 1}, {name: value for name, value in customer().items() if name != "songs_7d"}]
)
def test_the_check_by_columns_wants_exactly_the_fields_of_the_contract(row: dict[str, Any]) -> None:
    assert by_columns([customer(), row], Moments(NOW)) is None


@pytest.mark.parametrize(
    "content",
    [b'{"customers":[' + b"[]," * 400_000 + b"[]]}", b"[" + b"1," * 1_000_000 + b"1]", b"[" * 1_100_000],
    ids=["lists", "numbers", "nested"],
)
def test_a_body_that_would_take_many_times_its_size_is_refused_unparsed(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr(requests, "_json", lambda _: pytest.fail("parsed"))
    with pytest.raises(RequestError) as refused:
        requests.parse_explain(content, NOW)
    assert (refused.value.status, refused.value.error) == (413, "too many values")


@pytest.mark.parametrize("place", ["request", "customer"])
def test_a_million_unknown_fields_take_no_more_to_refuse_than_to_read(place: str) -> None:
    names = {f"{number}": 0 for number in range(90_000)}
    content = (
        json.dumps({"customers": [customer()]} | names) if place == "request" else body(customer() | names).decode()
    )
    asked = AssertionError("Pydantic was asked")
    with (
        patch.object(requests, "problems_of", side_effect=asked),
        patch.object(request_problems, "problems_of", side_effect=asked),
    ):
        refused = refusal(content.encode())
    assert refused.error.startswith(f"more than {SHOWN_PROBLEMS} problems")
    assert [problem.loc[-1] for problem in refused.detail] == [f"{number}" for number in range(SHOWN_PROBLEMS)]
    assert {problem.msg for problem in refused.detail} == {"there is no such field"}


def test_an_unknown_field_hides_no_other_problem() -> None:
    refused = refusal(body(customer(songs_7d=-1, songs_7days=1), customer(customer_id="31", as_of="yesterday")))
    assert [problem.loc for problem in refused.detail] == [
        ["customers", 0, "songs_7days"],
        ["customers", 0, "songs_7d"],
        ["customers", 1, "as_of"],
    ]


def test_commas_in_texts_are_no_values() -> None:
    ids = [f"{number}" + "," * 20 for number in range(1_000)]
    batch, _ = requests.parse_explain(body(*(customer(customer_id=one) for one in ids)), NOW)
    assert batch.customer_ids == ids


def test_a_contradiction_between_features_is_refused_with_its_rule() -> None:
    status, place, message = only_problem(body(customer(), customer(customer_id="31", sessions_28d=281)))
    assert (status, place) == (400, ["customers", 1, "sessions_28d"])
    assert message == "sessions_28d is 281 but events_28d is 280; the rule is: sessions_28d <= events_28d"


def test_a_request_full_of_contradictions_is_answered_shortly() -> None:
    many = [customer(customer_id=str(number), sessions_7d=60_000) for number in range(1000)]
    assert len(refusal(body(*many)).detail) == SHOWN_PROBLEMS


@pytest.mark.parametrize("name", NULLABLE)
def test_null_is_valid_where_the_contract_says_so(name: str) -> None:
    assert parse_predict(body(customer(**{name: None})), NOW).features[0][name] is None


def test_an_unseen_operating_system_is_valid() -> None:
    assert parse_predict(body(customer(os="TempleOS")), NOW).features[0]["os"] == "TempleOS"


def test_an_unknown_field_is_named_and_a_long_name_cut() -> None:
    assert only_problem(body(customer(songs_7days=1))) == (
        400,
        ["customers", 0, "songs_7days"],
        "there is no such field",
    )
    _, place, _ = only_problem(body(customer(**{"x" * 100_000: 1})))
    assert len(str(place[-1])) < 100
    assert only_problem(body(customer(), threshold=0.5))[1] == ["threshold"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        1541116800,
        "1541116800",
        "",
        "yesterday",
        "2018-11-02",
        "20181102T000000Z",
        "2018-W44-5T00:00:00Z",
        "2018-11-02T00:00:00",
        "2018-02-30T00:00:00Z",
        "2018-11-02T24:30:00Z",
        "2018-11-02T00:00:00+24:00",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2018-11-02T12:01:01Z",
        "٢٠١٨-11-02T00:00:00Z",
        ["2018-11-02T00:00:00Z"],
    ],
)
def test_a_wrong_moment_is_refused(text: Any) -> None:
    status, place, _ = only_problem(body(customer(), customer(customer_id="31", as_of=text)))
    assert (status, place) == (400, ["customers", 1, "as_of"])


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2018-11-02T12:00:59Z", "2018-11-02T12:00:59Z"),
        ("2018-11-02 05:30:00+05:30", "2018-11-02T00:00:00Z"),
        ("2018-11-02t00:00:00z", "2018-11-02T00:00:00Z"),
        ("2018-11-02T00:00:00.123456789Z", "2018-11-02T00:00:00.123Z"),
    ],
)
def test_a_moment_is_logged_in_utc(text: str, utc: str) -> None:
    assert parse_predict(body(customer(as_of=text)), NOW).as_of == [utc]


def test_a_clock_slightly_ahead_is_tolerated_and_no_more() -> None:
    late = (NOW + CLOCK_TOLERANCE + timedelta(seconds=1)).isoformat()
    assert "in the future; it is 2018-11-02T12:00:00Z here" in only_problem(body(customer(as_of=late)))[2]
    parse_predict(body(customer(as_of=(NOW + CLOCK_TOLERANCE).isoformat())), NOW)


def test_the_same_customer_at_the_same_moment_is_refused_even_when_written_differently() -> None:
    again = customer(as_of="2018-11-02T01:00:00+01:00")
    status, place, message = only_problem(body(customer(), customer(customer_id="31"), again))
    assert (status, place) == (400, ["customers", 2, "customer_id"])
    assert "row 0" in message
    parse_predict(body(customer(), customer(as_of="2018-11-01T00:00:00Z")), NOW)


def test_too_many_customers_is_413_before_they_are_looked_at() -> None:
    refused = refusal(body(*[None] * (MAXIMUM_PREDICT + 1)))
    assert (refused.status, refused.detail[0].loc) == (413, ["customers"])
    with pytest.raises(RequestError) as caught:
        parse_explain(body(*[None] * (MAXIMUM_EXPLAIN + 1)), NOW)
    assert caught.value.status == 413


def test_as_many_customers_as_allowed_are_taken() -> None:
    many = [customer(customer_id=str(number)) for number in range(MAXIMUM_PREDICT)]
    assert len(parse_predict(body(*many), NOW)) == MAXIMUM_PREDICT


def test_the_list_of_problems_is_short_and_says_so() -> None:
    refused = refusal(body(*[{}] * MAXIMUM_PREDICT))
    assert len(refused.detail) == SHOWN_PROBLEMS
    assert refused.error == f"more than {SHOWN_PROBLEMS} problems in the request, the first {SHOWN_PROBLEMS} are listed"
    assert len(refused.body()) < 10_000


def test_problems_in_several_rows_are_all_listed() -> None:
    refused = refusal(body(customer(songs_7d=-1), customer(customer_id="31"), customer(customer_id="32", level="gold")))
    assert [problem.loc for problem in refused.detail] == [["customers", 0, "songs_7d"], ["customers", 2, "level"]]
    assert refused.error == "2 problems in the request"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@examples(300)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_anything_but_a_refusal(content: bytes) -> None:
    assert refusal(content).status == 400


@examples(300)
@given(st.sampled_from(["customer_id", "as_of", *NAMES]), JSON)
def test_a_value_of_a_field_is_taken_as_it_is_or_refused_by_name(name: str, value: Any) -> None:
    outcome = _taken_or_named(name, value)
    assert outcome in ([value], [["customers", 0, name]])


def _taken_or_named(name: str, value: Any) -> list[Any]:
    try:
        batch = parse_predict(body(customer(**{name: value})), NOW)
    except RequestError as refused:
        if all("the rule is" in problem.msg for problem in refused.detail):
            return [value]  # valid by itself
        return [problem.loc for problem in refused.detail]
    return [batch.customer_ids[0]] if name == "customer_id" else [batch.features[0].get(name)]
