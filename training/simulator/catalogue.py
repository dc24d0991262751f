"""The songs of the service: made-up artists and titles, a few heard by everybody, most by few."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

ARTISTS: Final = 22_000
SONGS: Final = 90_000
ARTIST_EXPONENT: Final = 0.72
SONG_EXPONENT: Final = 0.62
"""Zipf: the song of rank r is played in proportion to `(r + HEAD) ** -exponent`."""
HEAD: Final = 20
CATALOGUE_SEED: Final = 1959
LENGTH_MEDIAN_S: Final = 234.6
LENGTH_SD: Final = 0.33
SHORTEST_S: Final = 20.0
LONGEST_S: Final = 1500.0
LONGEST_SONG_S: Final = 3024.66567
"""One song lasts longer than 50 minutes, as in the real log."""
LONGEST_SONG_RANK: Final = 700

_ADJECTIVES: Final = (
    "Amber", "Broken", "Crimson", "Distant", "Electric", "Faded", "Golden", "Hollow", "Idle", "Jade", "Kind", "Little",
    "Midnight", "Northern", "Open", "Paper", "Quiet", "Restless", "Silver", "Tender", "Upside", "Velvet", "Wild",
    "Yellow", "Zero", "Ash", "Blue", "Cold", "Düstere", "Élan",
)  # fmt: skip
_NOUNS: Final = (
    "Anchors", "Bridges", "Cities", "Dreams", "Engines", "Fires", "Gardens", "Harbours", "Islands", "Juniper", "Kites",
    "Lanterns", "Mirrors", "Nights", "Oceans", "Parades", "Queens", "Rivers", "Shadows", "Tides", "Umbrellas",
    "Valleys", "Windows", "Years", "Zephyrs", "Arrows", "Birds", "Clouds", "Días", "Étoiles",
)  # fmt: skip
_GIVEN: Final = ("Ada", "Björn", "Chloé", "Dario", "Elif", "Frank", "Greta", "Hugo", "Inês", "Jonas", "Kaja", "Lou")
_FAMILY: Final = ("Abel", "Berg", "Costa", "Doyle", "Egan", "Fuchs", "Grant", "Hale", "Ito", "Jansen", "Kern", "Lund")


@dataclass(frozen=True)
class Catalogue:
    """Songs by number: title, artist's number and length in seconds; `cumulative` draws them."""

    titles: list[str]
    artists: list[str]
    artist: NDArray[np.int32]
    seconds: NDArray[np.float64]
    cumulative: NDArray[np.float64]

    def play(self, count: int, draws: np.random.Generator) -> NDArray[np.int32]:
        """The songs that are heard, in proportion to their popularity."""
        return np.searchsorted(self.cumulative, draws.random(count), side="right").astype(np.int32)


@cache
def catalogue() -> Catalogue:
    """The same songs in every simulation."""
    draws = np.random.default_rng(CATALOGUE_SEED)
    artist_shares = _zipf(ARTISTS, ARTIST_EXPONENT)
    artist = np.searchsorted(np.cumsum(artist_shares), draws.random(SONGS), side="right").astype(np.int32)
    seconds = np.clip(np.exp(draws.normal(np.log(LENGTH_MEDIAN_S), LENGTH_SD, SONGS)), SHORTEST_S, LONGEST_S)
    seconds[LONGEST_SONG_RANK] = LONGEST_SONG_S
    return Catalogue(
        titles=_titles(draws),
        artists=_artist_names(draws),
        artist=np.minimum(artist, ARTISTS - 1),
        seconds=np.round(seconds, 5),
        cumulative=np.append(np.cumsum(_zipf(SONGS, SONG_EXPONENT))[:-1], 1.0),
    )


def _zipf(count: int, exponent: float) -> NDArray[np.float64]:
    weights = np.power(np.arange(count, dtype=np.float64) + 1 + HEAD, -exponent)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _titles(draws: np.random.Generator) -> list[str]:
    words = draws.integers(len(_ADJECTIVES), size=(SONGS, 3)).tolist()
    return [f"{_title(*three)}{_edition(number)}" for number, three in enumerate(words)]


def _title(first: int, second: int, third: int) -> str:
    return (
        f"{_ADJECTIVES[first]} {_NOUNS[second]} of {_NOUNS[third]}"
        if third % 2
        else f"{_ADJECTIVES[first]} {_NOUNS[second]}"
    )


def _edition(number: int) -> str:
    if number % 40 == 0:
        return f' ("Take {number // 40}")'
    return f" ({number % 90})" if number % 3 == 0 else ""


def _artist_names(draws: np.random.Generator) -> list[str]:
    words = draws.integers(len(_GIVEN), size=(ARTISTS, 4)).tolist()
    return [_artist(number, words[number]) for number in range(ARTISTS)]


def _artist(number: int, words: list[int]) -> str:
    """Unlike any other artist: the number is part of the name."""
    given, family = _GIVEN[words[0]], _FAMILY[words[1]]
    if number % 3 == 0:
        return f"{given} {family} {number}"
    if number % 3 == 1:
        return f"The {_ADJECTIVES[(words[2] + number) % len(_ADJECTIVES)]} {_NOUNS[words[3] + number % 18]} {number}"
    return f"{given} {family} / {_GIVEN[words[2]]} {_FAMILY[words[3]]} {number}"
