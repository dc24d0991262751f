"""A measure with its 95 % interval."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measure with its 95 % interval; a part that is not defined or not known is NaN.

    Example:
        >>> Figure(0.7512, 0.7, 0.8)
        Figure(value=0.7512, low=0.7, high=0.8)
        >>> str(Figure(0.7512, 0.7, 0.8))
        '0.751 (95 % interval 0.700 to 0.800)'
        >>> Figure.of(math.nan, (0.0, 1.0)).to_dict()
        {'value': None, 'low': None, 'high': None}
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def of(cls, value: float, bounds: tuple[float, float]) -> "Figure":
        """A figure that is not defined has no interval."""
        return cls(float(value)) if math.isnan(value) else cls(float(value), float(bounds[0]), float(bounds[1]))

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % interval {self.low:.3f} to {self.high:.3f})"

    def to_dict(self) -> dict[str, float | None]:
        """For JSON, which has no NaN."""
        return {name: None if math.isnan(number) else number for name, number in vars(self).items()}
