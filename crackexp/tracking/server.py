"""A tracking server, which is asked for a sign of life before anything slow begins."""

from functools import cache

from crackexp.utils.errors import UserError
from crackexp.utils.progress import status

TIMEOUT = 5.0
"""The seconds that a server has to take a connection, and then to answer."""


@cache
def require_server(uri: str | None) -> None:
    """Raises UserError where no server answers at the address of a store.

    MLflow repeats a request to such an address for minutes, which is right for a server that is restarted while a run
    is trained and wrong for one that was never there. So a server that has answered is not asked again by this process.
    Stores of other kinds are not looked at.

    Args:
        uri: The address of the store; None where there is none.
    """
    if uri is None or not uri.startswith(("http://", "https://")):
        return
    status("Asking the tracking server")
    import requests

    try:
        requests.head(uri, timeout=TIMEOUT, allow_redirects=False)
    except requests.exceptions.SSLError:
        pass  # it is there, and MLflow has settings of its own for certificates
    except requests.RequestException as error:
        waited = f" within {TIMEOUT:g} s" if isinstance(error, requests.Timeout) else ""
        raise UserError(
            f"No tracking server answers{waited} at this address. Start it, for example with mlflow server, or type "
            f"tracking=local. Received: tracking.uri={uri}"
        ) from error
