"""Requests and answers of the two APIs, as the OpenAPI document shows them; and the one shape of every refusal."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from churn.contract import NAMES, Customer, example_customer

MAXIMUM_PREDICT: Final = 10_000
MAXIMUM_EXPLAIN: Final = 1_000
DEFAULT_TOP_K: Final = 5

Content = bytes | bytearray
"""The body of a request."""


class Strict(BaseModel):
    """Refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid")


class PredictRequest(Strict):
    """Customers to score."""

    customers: Annotated[list[Customer], Field(min_length=1, max_length=MAXIMUM_PREDICT)] = Field(
        description="Customers to score, each at its moment, answered in the same order. "
        f"More than {MAXIMUM_PREDICT} are too many: 413.",
        examples=[[example_customer()]],
    )


class ExplainRequest(Strict):
    """Customers to score and explain."""

    customers: Annotated[list[Customer], Field(min_length=1, max_length=MAXIMUM_EXPLAIN)] = Field(
        description="Customers to explain, each at its moment, answered in the same order. "
        f"More than {MAXIMUM_EXPLAIN} are too many: 413.",
        examples=[[example_customer()]],
    )
    top_k: Annotated[int, Field(strict=True, ge=0, le=len(NAMES))] = Field(
        default=DEFAULT_TOP_K, description="How many reasons to give for each customer."
    )
    what_would_help: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Also say which change of a feature that you can influence would bring the probability below the "
        "threshold: the model's answer, not a promise.",
    )


class Prediction(BaseModel):
    """The answer about one customer."""

    customer_id: str = Field(examples=["30"])
    churn_probability: float = Field(
        description="Calibrated probability of churn within the horizon.", ge=0, le=1, examples=[0.83]
    )
    will_churn: bool = Field(description="Whether the probability reaches the model's threshold.", examples=[True])


WARNINGS: Final = "Only when a request brings an operating system or browser that the model does not know."


class Warned(BaseModel):
    """Something in a request that was answered all the same, and may not be meant."""

    loc: list[str | int] = Field(description="Where first: `customers`, the row (from 0), the field.")
    msg: str = Field(description="What was found, how it was scored, and what the model knows.")


class PredictResponse(BaseModel):
    """The answer of `predict`, in the order asked."""

    model: str = Field(description="Exact tag of the model that answered.")
    predictions: list[Prediction]
    warnings: list[Warned] | None = Field(default=None, description=WARNINGS)


class Reason(BaseModel):
    """One reason for a score, in plain words."""

    feature: str
    value: float | str | None = Field(description="The customer's value.")
    contribution: float = Field(description="What it adds to the score; negative when it lowers it.")
    text: str = Field(description="The value beside that of customers who stay.")


class Suggestion(BaseModel):
    """One change that would bring the probability below the threshold: the model's answer, not a promise."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    feature: str
    from_: float = Field(alias="from")
    to: float
    churn_probability: float


class Explanation(BaseModel):
    """The answer about one customer: `base_value + sum(contributions) == score`."""

    customer_id: str
    churn_probability: float
    score: float = Field(description="The forest's score, before calibration.")
    contributions: dict[str, float] = Field(description="What each feature adds to the score.")
    reasons: list[Reason] = Field(description="The largest contributions, in plain words.")
    what_would_help: list[Suggestion] | None = Field(default=None, description="Only when asked for.")


class ExplainResponse(BaseModel):
    """The answer of `explain`, in the order asked."""

    model: str = Field(description="Exact tag of the model that answered.")
    base_value: float = Field(description="The score of a customer of whom nothing is known.")
    explanations: list[Explanation]
    warnings: list[Warned] | None = Field(default=None, description=WARNINGS)


class Problem(BaseModel):
    """One thing wrong with a request."""

    loc: list[str | int] = Field(description="Where: `customers`, the row (from 0), the field.")
    msg: str = Field(description="What was found, and what is expected.")
    _reason: str = PrivateAttr(default="invalid")

    @classmethod
    def because(cls, reason: str, loc: list[str | int], msg: str) -> "Problem":
        """A problem of one of a few known kinds, which are counted."""
        problem = cls(loc=loc, msg=msg)
        problem._reason = reason
        return problem

    def reason(self) -> str:
        return self._reason


class ErrorResponse(BaseModel):
    """The body of every answer that is not a success."""

    error: str
    detail: list[Problem]
