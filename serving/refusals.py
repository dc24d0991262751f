"""How a request is refused: the status, what is wrong, and where. The body of every refusal has one shape."""

from dataclasses import dataclass, field

from churn.errors import RefusalError
from serving.api import ErrorResponse, Problem


@dataclass
class RequestError(RefusalError):
    """A request that is refused over HTTP.

    `allow` names the right method of a 405; `close` ends the connection.
    """

    status: int
    error: str
    detail: list[Problem] = field(default_factory=list)
    allow: str = ""
    close: bool = False

    def __str__(self) -> str:
        return f"{self.status} {self.error}"

    def body(self) -> bytes:
        """`ErrorResponse` as JSON."""
        return ErrorResponse(error=self.error, detail=self.detail).model_dump_json().encode()

    def severed(self) -> "RequestError":
        """The refusal without what led to it.

        Its traceback and the errors before it hold frames, and these the parsed body, until the garbage is collected.
        `from None` only hides the error before it.
        """
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)
