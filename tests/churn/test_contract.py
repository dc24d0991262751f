import math

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from churn.contract import (
    CONTRACT_VERSION,
    FEATURES,
    GROUPS,
    NAMES,
    NULLABLE,
    Customer,
    example_customer,
)
from churn.customer_ids import customer_key, customer_key_sql
from churn.raw_text import BLANKS

DUCK = duckdb.connect()


def test_the_version_names_this_contract() -> None:
    """Whoever changes a name, type or bound changes what stored models and logs mean: they must then be remade."""
    assert CONTRACT_VERSION == "2-92cf633b"


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(FEATURES) == 110


def test_the_groups_are_the_features_in_their_order() -> None:
    assert [name for group in GROUPS for name in group.names] == list(NAMES)
    assert [feature.group for feature in FEATURES] == [group.name for group in GROUPS for _ in group.names]
    assert GROUPS[0].name == "profile"


def test_every_feature_is_described_for_a_manager() -> None:
    for feature in FEATURES:
        assert feature.description.endswith("."), feature.name
        assert "{value}" in feature.phrase, feature.name


def test_the_example_is_valid() -> None:
    customer = Customer.model_validate(example_customer())
    assert customer.model_dump()["thumbs_down_14d"] == 2


@pytest.mark.parametrize("name", NULLABLE)
def test_null_is_valid_where_the_contract_says_so(name: str) -> None:
    assert getattr(Customer.model_validate(example_customer() | {name: None}), name) is None


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(NULLABLE)))
def test_null_is_refused_elsewhere(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Customer.model_validate(example_customer() | {name: None})


@pytest.mark.parametrize("feature", [f for f in FEATURES if not f.is_category], ids=lambda f: f.name)
def test_numbers_out_of_bounds_are_refused(feature) -> None:
    beyond = [feature.minimum - 1, feature.maximum + 1, math.nan, math.inf, -math.inf, "1", True]
    for value in beyond:
        with pytest.raises(ValidationError, match=feature.name):
            Customer.model_validate(example_customer() | {feature.name: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("level", "gold"),
        ("gender", "male"),
        ("os", ""),
        ("browser", "x" * 65),
        ("customer_id", ""),
        ("customer_id", 30),
        ("as_of", "2018-11-02T00:00:00"),
        ("gender_Male", 1),
    ],
)
def test_other_wrong_values_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Customer.model_validate(example_customer() | {field: value})


def test_an_unseen_operating_system_is_valid() -> None:
    assert Customer.model_validate(example_customer() | {"os": "BeOS"}).os == "BeOS"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("104", "104"),
        ("104.0", "104"),
        (" 104.000\t", "104"),
        ("\xa0104\u2028", "104"),
        ("0104.0", "0104"),
        ("104.5", "104.5"),
        ("104.", "104."),
        ("-104.0", "-104.0"),
        ("1.1E7", "1.1E7"),
        ("u-104.0", "u-104.0"),
        ("Ann", "Ann"),
        ("\u0661.0", "\u0661.0"),
        (" \n ", ""),
    ],
)
def test_one_customer_has_one_key_however_the_id_is_spelled(text: str, key: str) -> None:
    assert customer_key(text) == key


@given(st.text(st.sampled_from(f"019.-+Ee\u0661\xe9{BLANKS}") | st.characters(codec="utf-8")))
@example("")
@example("12.0 ")
@example("\x7f1.0")
def test_the_key_in_sql_is_the_key_in_python(text: str) -> None:
    ((key,),) = DUCK.execute(f"SELECT {customer_key_sql('id')} FROM (SELECT ?::VARCHAR AS id)", [text]).fetchall()
    assert key == customer_key(text)
    assert customer_key(key) == key
