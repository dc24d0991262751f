"""Who a customer is beside the listening: name, gender, location, device. Nothing here says who leaves."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.simulator.behaviour import HOME_MARKET, NEW_MARKET

FEMALE_SHARE: Final = 0.46

FEMALE_NAMES: Final = (
    "Alice", "Bella", "Carla", "Daisy", "Emma", "Fiona", "Grace", "Hannah", "Isla", "Julia", "Kira", "Lily", "Maya",
    "Nora", "Olivia", "Paula", "Quinn", "Ruby", "Sofia", "Tessa", "Una", "Vera", "Willow", "Yara", "Zoe",
)  # fmt: skip
MALE_NAMES: Final = (
    "Aaron", "Ben", "Colin", "David", "Ethan", "Felix", "George", "Henry", "Ivan", "Jacob", "Karl", "Liam", "Micah",
    "Noah", "Oscar", "Pablo", "Ralph", "Simon", "Thomas", "Umar", "Victor", "Walter", "Xavier", "Yusuf", "Zane",
)  # fmt: skip
FAMILY_NAMES: Final = (
    "Adams", "Baker", "Clark", "Davis", "Evans", "Freeman", "Garcia", "Hughes", "Ingram", "Jones", "Khan", "Long",
    "Moore", "Nguyen", "O'Neil", "Parker", "Reed", "Smith", "Turner", "Underwood", "Vargas", "Williams", "Young",
    "Zhang",
)  # fmt: skip

_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
_WINDOWS: Final = "Windows NT 6.1; WOW64"
_MAC: Final = "Macintosh; Intel Mac OS X 10_9_4"


def _quoted(agent: str) -> str:
    """Chrome and Safari stand in quotes of their own in the real log."""
    return f'"{agent}"'


def _chrome(system: str, version: str) -> str:
    return _quoted(f"Mozilla/5.0 ({system}) {_WEBKIT} Chrome/{version} Safari/537.36")


def _firefox(system: str, version: str) -> str:
    return f"Mozilla/5.0 ({system}; rv:{version}) Gecko/20100101 Firefox/{version}"


def _mobile_safari(device: str) -> str:
    return _quoted(
        f"Mozilla/5.0 ({device} 7_1_2 like Mac OS X) AppleWebKit/537.51.2 (KHTML, like Gecko) "
        "Version/7.0 Mobile/11D257 Safari/9537.53"
    )


# User agent and its share, in a hundred.
HOME_AGENTS: Final = {
    _firefox(_WINDOWS, "31.0"): 11,
    _chrome(_WINDOWS, "36.0.1985.143"): 11,
    _quoted(f"Mozilla/5.0 ({_MAC}) AppleWebKit/537.78.2 (KHTML, like Gecko) Version/7.0.6 Safari/537.78.2"): 11,
    _chrome(_MAC, "36.0.1985.143"): 9,
    _chrome(_WINDOWS, "36.0.1985.125"): 8,
    _chrome(_MAC, "36.0.1985.125"): 5,
    _mobile_safari("iPhone; CPU iPhone OS"): 5,
    _firefox("Windows NT 6.1", "31.0"): 4,
    _chrome("Windows NT 6.3; WOW64", "36.0.1985.143"): 6,
    _chrome(_MAC, "37.0.2062.94"): 4,
    _firefox("Macintosh; Intel Mac OS X 10.9", "31.0"): 4,
    _firefox("X11; Ubuntu; Linux x86_64", "31.0"): 3,
    "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko": 4,
    _firefox("Windows NT 6.3; WOW64", "31.0"): 3,
    _chrome("Windows NT 6.1", "36.0.1985.125"): 3,
    _mobile_safari("iPad; CPU OS"): 3,
    _chrome("X11; Linux x86_64", "36.0.1985.143"): 3,
    _firefox("Windows NT 5.1", "31.0"): 2,
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; WOW64; Trident/5.0)": 1,
}
NEW_AGENTS: Final = {
    _quoted(
        f"Mozilla/5.0 (Linux; Android 4.4.4; SM-G900F Build/KTU84P) {_WEBKIT} Chrome/36.0.1985.135 Mobile Safari/537.36"
    ): 45,
    _firefox("Android; Mobile", "31.0"): 10,
    _chrome("X11; Linux x86_64", "36.0.1985.143"): 20,
    _firefox("X11; Ubuntu; Linux x86_64", "31.0"): 15,
    _mobile_safari("iPhone; CPU iPhone OS"): 5,
    _chrome(_WINDOWS, "36.0.1985.143"): 5,
}

# Location and its share; the shares need not add up to anything.
HOME_LOCATIONS: Final = {
    "New York-Newark-Jersey City, NY-NJ-PA": 18,
    "Los Angeles-Long Beach-Anaheim, CA": 12,
    "Chicago-Naperville-Elgin, IL-IN-WI": 8,
    "Dallas-Fort Worth-Arlington, TX": 6,
    "Houston-The Woodlands-Sugar Land, TX": 6,
    "Phoenix-Mesa-Scottsdale, AZ": 6,
    "Philadelphia-Camden-Wilmington, PA-NJ-DE-MD": 6,
    "Washington-Arlington-Alexandria, DC-VA-MD-WV": 6,
    "Boston-Cambridge-Newton, MA-NH": 5,
    "Riverside-San Bernardino-Ontario, CA": 5,
    "Miami-Fort Lauderdale-West Palm Beach, FL": 5,
    "Atlanta-Sandy Springs-Roswell, GA": 5,
    "Seattle-Tacoma-Bellevue, WA": 3,
    "San Diego-Carlsbad, CA": 3,
    "Minneapolis-St. Paul-Bloomington, MN-WI": 3,
    "Detroit-Warren-Dearborn, MI": 3,
    "Tampa-St. Petersburg-Clearwater, FL": 3,
    "Portland-Vancouver-Hillsboro, OR-WA": 3,
    "Sacramento--Roseville--Arden-Arcade, CA": 3,
    "Austin-Round Rock, TX": 2,
    "Memphis, TN-MS-AR": 2,
    "Milwaukee-Waukesha-West Allis, WI": 2,
    "Virginia Beach-Norfolk-Newport News, VA-NC": 2,
    "Cincinnati, OH-KY-IN": 2,
    "Providence-Warwick, RI-MA": 2,
    "Corpus Christi, TX": 1,
    "Bakersfield, CA": 1,
    "Salisbury, MD-DE": 1,
    "Rochester, NY": 1,
    "Aberdeen, SD": 1,
    "Rocky Mount, NC": 1,
    "Worcester, MA-CT": 1,
}
NEW_LOCATIONS: Final = {"Berlin, DE": 30, "Hamburg, DE": 18, "München, DE": 15, "Köln, DE": 11, "Wien, AT": 10}

AGENTS: Final = (*HOME_AGENTS, *NEW_AGENTS)
LOCATIONS: Final = (*HOME_LOCATIONS, *NEW_LOCATIONS)


@dataclass(frozen=True)
class Profiles:
    """Per customer: numbers into the lists of this module."""

    female: NDArray[np.bool_]
    first_name: NDArray[np.int64]
    last_name: NDArray[np.int64]
    agent: NDArray[np.int64]
    location: NDArray[np.int64]

    def gender(self, customer: int) -> str:
        return "F" if self.female[customer] else "M"

    def name(self, customer: int) -> tuple[str, str]:
        first = FEMALE_NAMES if self.female[customer] else MALE_NAMES
        return first[self.first_name[customer]], FAMILY_NAMES[self.last_name[customer]]


def profiles(market: NDArray[np.int64], draws: np.random.Generator) -> Profiles:
    """A profile for each customer, given the market that each belongs to.

    A customer's profile does not depend on how many follow: each has a row of draws.
    """
    own = draws.random((len(market), 5))
    return Profiles(
        female=own[:, 0] < FEMALE_SHARE,
        first_name=(own[:, 1] * len(MALE_NAMES)).astype(np.int64),
        last_name=(own[:, 2] * len(FAMILY_NAMES)).astype(np.int64),
        agent=_chosen(HOME_AGENTS, NEW_AGENTS, market, own[:, 3]),
        location=_chosen(HOME_LOCATIONS, NEW_LOCATIONS, market, own[:, 4]),
    )


def _chosen(
    home: dict[str, int], new: dict[str, int], market: NDArray[np.int64], own: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Numbers into `(*home, *new)`, by share within the customer's market."""
    shares = np.zeros((2, len(home) + len(new)))
    shares[HOME_MARKET, : len(home)] = list(home.values())
    shares[NEW_MARKET, len(home) :] = list(new.values())
    cumulative = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    below: NDArray[np.int64] = (cumulative[market] <= own[:, None]).sum(axis=1)
    return np.minimum(below, shares.shape[1] - 1)
