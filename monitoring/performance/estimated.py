"""How good the predictions of a week probably are, before anybody knows: estimated from the probabilities alone.

If a probability of 0.2 means that one in five leaves, the probabilities themselves say how
many of the flagged will leave (true positives), how many will not, and how well the ranking
will do: confidence-based performance estimation (CBPE; Kivimäki et al. 2024,
"Confidence-based estimators for predictive performance in model monitoring"). It sees that
the customers changed. It cannot see that they came to behave otherwise: it trusts the
calibration.

The 95 % interval is where the figure will lie that the labels of these very customers will
show one day, if the calibration holds. It covers that outcomes are chance, given the
probabilities, and that the calibration was fitted to a limited number of customers. It
does not cover a calibration that was wrong from the start, or is wrong by now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from churn.quality.figure import Figure
from churn.quality.intervals import RESAMPLES
from churn.quality.measures import Judged
from monitoring.findings.performance import EstimatedPerformance, Metrics
from monitoring.performance.realised import bounds_of, measures

METHOD: Final = "CBPE"
ESTIMATED: Final = ("auc", "f1", "precision", "recall")
BLIND_SPOT: Final = (
    "Estimated from the model's own probabilities: it cannot see that customers like these now leave more or less "
    "often than they used to (concept drift), only their labels will."
)
CELL: Final = 1e-4
"""Probabilities are grouped in steps of this, so that ten million cost what ten thousand do."""

_EDGE: Final = 1e-12
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model answered, each customer once, grouped: in each cell the `probability`, who is
    `flagged` (0 or 1), and how many `customers` that are; float64 [cells].
    """

    probability: Vector
    flagged: Vector
    customers: Vector


def estimate(
    answers: Answers, fitted_on: Vector | None = None, seed: int = 0, draws: int = RESAMPLES
) -> EstimatedPerformance:
    """Estimate AUC, F1, precision and recall from probabilities.

    Args:
        answers: of one model.
        fitted_on: calibrated out-of-fold probabilities of customers like those the calibration
            was fitted on; None where it is known exactly.
        seed: of the draws.
        draws: how many outcomes are drawn for the intervals.
    """
    cells = len(answers.probability)
    both = Judged(
        churned=np.repeat([1.0, 0.0], cells),
        score=np.tile(answers.probability, 2),
        probability=np.tile(answers.probability, 2),
        flagged=np.tile(answers.flagged, 2),
    )
    expected = answers.customers * answers.probability
    drawn = [measures(both, weight, ESTIMATED) for weight in _outcomes(answers, fitted_on, seed, draws)]
    values = measures(both, _weight(expected, answers.customers), ESTIMATED)
    bounds = {name: bounds_of(np.array([one[name] for one in drawn])) for name in ESTIMATED}
    return EstimatedPerformance(
        customers=int(answers.customers.sum()),
        expected_churners=float(expected.sum()),
        metrics=Metrics(**{name: Figure.of(values[name], bounds[name]) for name in ESTIMATED}),
        method=METHOD,
        blind_spot=BLIND_SPOT,
    )


def _weight(churners: Vector, customers: Vector) -> Vector:
    return np.concatenate([churners, customers - churners])


def _outcomes(answers: Answers, fitted_on: Vector | None, seed: int, draws: int) -> Iterator[Vector]:
    """Weights of who might churn, and who might stay, draw by draw."""
    generator = np.random.default_rng(seed)
    customers = answers.customers.astype(np.int64)
    scores = logit(np.clip(answers.probability, _EDGE, 1 - _EDGE))
    for intercept, slope in _calibrations(fitted_on, generator, draws):
        churners = generator.binomial(customers, expit(intercept + slope * scores))
        yield _weight(churners.astype(np.float64), answers.customers)


def _calibrations(fitted_on: Vector | None, generator: np.random.Generator, draws: int) -> Vector:
    """Other calibrations that would fit as well: intercept and slope on the scale of log-odds, [draws, 2].

    The sampling distribution of a logistic regression of the outcomes on the log-odds, whose
    estimate is (0, 1): normal, with the inverse of Fisher's information as its covariance.
    """
    if fitted_on is None:
        return np.tile([0.0, 1.0], (draws, 1))
    fitted_on = np.clip(fitted_on, _EDGE, 1 - _EDGE)
    design = np.column_stack([np.ones(len(fitted_on)), logit(fitted_on)])
    information = design.T @ (design * (fitted_on * (1 - fitted_on))[:, None])
    return generator.multivariate_normal([0.0, 1.0], np.linalg.pinv(information), size=draws)
