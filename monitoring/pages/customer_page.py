"""The page of one customer, for whoever is on the phone. It has a customer's id: private, never among shared pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitoring.pages.waterfall import WIDTH, Step
from monitoring.pages.web_page import Badge, render

HEIGHT: Final = 60
_EDGE: Final = 4


@dataclass(frozen=True)
class WeekOfCustomer:
    """The newest answer of a week."""

    week: str
    probability: float

    @property
    def percent(self) -> str:
        return percent(self.probability)


@dataclass(frozen=True)
class CustomerFacts:
    """The content of the page.

    Attributes:
        customer_id: as it is logged.
        as_of: the moment of the features, in words.
        flagged: whether the model flags the customer.
        threshold: the probability from which it does.
        context: how long a customer, and of which level.
        course: the weeks that the log has, oldest first; the last is the page's.
        reasons: in words, strongest first.
        base: the score of a customer of whom nothing is known.
        score: the customer's; `steps` lead from the one to the other.
        help: what would help, in words; none where nothing does.
        offers: so far, in words.
    """

    customer_id: str
    as_of: str
    flagged: bool
    threshold: float
    context: str
    course: Sequence[WeekOfCustomer]
    reasons: Sequence[str]
    base: float
    score: float
    steps: Sequence[Step]
    help: Sequence[str]
    offers: Sequence[str]


def page(customer: CustomerFacts) -> bytes:
    """The HTML page; everything from outside is escaped."""
    verdict = Badge("drift", "at risk") if customer.flagged else Badge("ok", "not at risk")
    probabilities = [one.probability for one in customer.course]
    top = max(*probabilities, customer.threshold)
    html = render(
        "customer.html.jinja",
        title=f"Customer {customer.customer_id}",
        customer=customer,
        newest=customer.course[-1],
        verdict=verdict,
        threshold=percent(customer.threshold),
        line=_line(probabilities, top),
        gate=_height(customer.threshold, top),
        width=WIDTH,
        height=HEIGHT,
    )
    return html.encode()


def percent(probability: float) -> str:
    """`24 %`; small ones with a digit more."""
    return f"{probability * 100:.0f} %" if probability >= 0.1 else f"{probability * 100:.1f} %"


def _height(probability: float, top: float) -> float:
    return round(HEIGHT - _EDGE - probability / top * (HEIGHT - 2 * _EDGE), 1)


def _line(probabilities: Sequence[float], top: float) -> str:
    """The course as a path of SVG; a single week is a dot, by its round cap."""
    step = (WIDTH - 2 * _EDGE) / max(len(probabilities) - 1, 1)
    points = [f"{_EDGE + index * step:.1f} {_height(one, top)}" for index, one in enumerate(probabilities)]
    return f"M{'L'.join(points)}" + ("h0" if len(points) == 1 else "")
