"""Rows by number to the columns of the real log."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.simulator import pages
from training.simulator.behaviour import LEVELS
from training.simulator.catalogue import catalogue
from training.simulator.population import DAY_SECONDS, Customers
from training.simulator.profiles import AGENTS, LOCATIONS
from training.simulator.sessions import NO_SONG, Rows
from training.simulator.settings import SimulationSettings

SCHEMA: Final = pa.schema(
    [
        ("ts", pa.int64()),
        ("userId", pa.string()),
        ("sessionId", pa.int64()),
        ("page", pa.string()),
        ("auth", pa.string()),
        ("method", pa.string()),
        ("status", pa.int64()),
        ("level", pa.string()),
        ("itemInSession", pa.int64()),
        ("location", pa.string()),
        ("userAgent", pa.string()),
        ("lastName", pa.string()),
        ("firstName", pa.string()),
        ("registration", pa.int64()),
        ("gender", pa.string()),
        ("artist", pa.string()),
        ("song", pa.string()),
        ("length", pa.float64()),
    ]
)
"""The real log's columns, in its order."""

NOBODY: Final = ""
"""`userId` of a row without a customer."""

PER_PAGE: Final[dict[str, list[Any]]] = {
    "page": [page.page for page in pages.PAGES],
    "auth": [page.auth for page in pages.PAGES],
    "method": [page.method for page in pages.PAGES],
    "status": [page.status for page in pages.PAGES],
}
LOST_BY_BROKEN_CLIENT: Final = ("userAgent", "gender", "registration")


class Columns:
    """The texts that the numbers of `Rows` stand for.

    `per_customer` has one more element than there are customers: that of nobody.
    """

    def __init__(self, settings: SimulationSettings, customers: Customers, ids: NDArray[np.str_]) -> None:
        self.settings = settings
        self._broken = customers.broken()
        self.per_customer: dict[str, list[Any]] = _per_customer(settings, customers, ids)
        songs = catalogue()
        self.per_song: dict[str, list[Any]] = {
            "artist": [songs.artists[number] for number in songs.artist],
            "song": songs.titles,
            "length": songs.seconds.tolist(),
        }
        self._dictionaries = {
            name: pa.array(values, SCHEMA.field(name).type)
            for name, values in (self.per_customer | PER_PAGE | self.per_song | {"level": list(LEVELS)}).items()
        }

    def customer(self, rows: Rows) -> NDArray[np.int64]:
        """Number of each row's customer; the one after the last for nobody."""
        return np.where(pages.LOGGED_IN[rows.page], rows.customer, len(self._broken))

    def ts(self, rows: Rows) -> NDArray[np.int64]:
        return self.settings.start_ms + rows.second * 1000

    def broken(self, rows: Rows) -> NDArray[np.bool_]:
        """Rows that lose what the broken client does not send."""
        day = rows.second // DAY_SECONDS
        first = self.settings.first_changed_day
        if self.settings.world != "broken-client" or first is None:
            return np.zeros(len(rows), np.bool_)
        return (day >= first) & self._broken[rows.customer]

    def batch(self, rows: Rows) -> pa.RecordBatch:
        customer = self.customer(rows)
        arrays = {
            "ts": pa.array(self.ts(rows)),
            "sessionId": pa.array(rows.session.astype(np.int64)),
            "itemInSession": pa.array(rows.item.astype(np.int64)),
            "level": self._taken("level", rows.level),
        }
        lost = self.broken(rows)
        for name in self.per_customer:
            arrays[name] = self._taken(name, customer, lost if name in LOST_BY_BROKEN_CLIENT else None)
        for name in PER_PAGE:
            arrays[name] = self._taken(name, rows.page)
        for name in self.per_song:
            arrays[name] = self._taken(name, rows.song, rows.song == NO_SONG)
        return pa.RecordBatch.from_arrays([arrays[name] for name in SCHEMA.names], names=SCHEMA.names)

    def _taken(self, name: str, number: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> pa.Array:
        index = pa.array(number.astype(np.int32), mask=missing)
        if SCHEMA.field(name).type == pa.string():
            return pa.DictionaryArray.from_arrays(index, self._dictionaries[name])
        return pc.take(self._dictionaries[name], index)


def _per_customer(settings: SimulationSettings, customers: Customers, ids: NDArray[np.str_]) -> dict[str, list[Any]]:
    who = customers.profiles(settings)
    names = [who.name(number) for number in range(len(customers))]
    return {
        "userId": [*ids.tolist(), NOBODY],
        "location": [*(LOCATIONS[number] for number in who.location), None],
        "userAgent": [*(AGENTS[number] for number in who.agent), None],
        "lastName": [*(last for _, last in names), None],
        "firstName": [*(first for first, _ in names), None],
        "registration": [*customers.registration_ms(settings).tolist(), None],
        "gender": [*(who.gender(number) for number in range(len(customers))), None],
    }
