"""The address of the page: a port that is claimed before anything else, and who can reach it."""

import errno
import ipaddress
import socket
from dataclasses import dataclass

from crackexp.reporting import Report, Section
from crackexp.utils.errors import UserError


@dataclass(frozen=True)
class ServerAddress:
    """A port that this process listens on.

    Attributes:
        host: The host, as the user typed it.
        socket: The socket that listens.
    """

    host: str
    socket: socket.socket

    @property
    def is_private(self) -> bool:
        """Whether only programs of this computer can reach it."""
        return ipaddress.ip_address(self.socket.getsockname()[0].partition("%")[0]).is_loopback

    @property
    def url(self) -> str:
        """The address to type into a browser of this computer."""
        anywhere = ipaddress.ip_address(self.socket.getsockname()[0].partition("%")[0]).is_unspecified
        return f"http://{'localhost' if anywhere else _bracketed(self.host)}:{self.socket.getsockname()[1]}"

    def report(self) -> Report:
        """Returns where the page is, how to end it, and a warning where others can use it."""
        warning = (
            "Anybody who reaches this computer over the network can use the page: it asks for no password. "
            f"Type host=127.0.0.1 for yourself alone. Received: host={self.host}"
        )
        sections = [] if self.is_private else [Section(sentences=[warning], tone="danger")]
        return Report("", [*sections, Section(sentences=[f"Open        {self.url}", "End         Ctrl-C"])])

    @property
    def names(self) -> list[str]:
        """The host names that a browser may use; "*" stands for any.

        On loopback only its own names are allowed. Otherwise a foreign page whose name resolves to 127.0.0.1 could read
        this one.
        """
        return ["localhost", "127.0.0.1", "[::1]", _bracketed(self.host)] if self.is_private else ["*"]


def claim(host: str, port: int) -> ServerAddress:
    """Begins to listen on a port, so that no other program takes it while the model is loaded.

    Args:
        host: A name or an address of this computer.
        port: The number of the port; 0 takes any that is free.

    Raises:
        UserError: Another program listens there, or the host is none of this computer's.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return ServerAddress(host, socket.create_server((str(address[0]), port), family=family, backlog=128))
    except (socket.gaierror, UnicodeError):
        reason = "This host is not known. Type host=127.0.0.1 for this computer alone"
    except OSError as error:
        reason = {
            errno.EADDRINUSE: "Another program listens on this port. Type port=NUMBER, or port=0 for any that is free",
            errno.EACCES: "This port is reserved for the system. Type port=NUMBER from 1024 on",
            errno.EADDRNOTAVAIL: "This host is not this computer. Type host=127.0.0.1",
        }.get(error.errno or 0, f"This port cannot be listened on: {error.strerror}. Type another port=NUMBER")
    raise UserError(f"{reason}. Received: host={host} port={port}")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
