"""The types in which MCP clients, and connections of them to this server, are described."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from octave_mcp.values import expand_home

NAME = "octave-personas"
"""The name of the server in a configuration, unless a person gives another."""

Entry = dict[str, Any]
"""What a client's file says about one server."""


@dataclass(frozen=True)
class Secret:
    """A secret that a configuration must not hold, unless its client leaves no other way."""

    variable: str
    words: str
    header: str
    scheme: str = ""

    @property
    def input(self) -> str:
        """Return the name under which VS Code asks for it."""
        return self.variable.lower().replace("_", "-")


KEY = Secret("OCTAVE_API_KEY", "Octave API key", "X-Octave-Api-Key")
TOKEN = Secret("OCTAVE_MCP_TOKEN", "bearer token", "Authorization", "Bearer ")


@dataclass(frozen=True)
class Connection:
    """How a client reaches this server: by starting `command` or, if there is a `url`, over HTTP."""

    name: str = NAME
    command: tuple[str, ...] = ("octave-personas-mcp",)
    sandbox: bool = False
    key_file: str | None = None
    folders: tuple[str, ...] = ()
    url: str | None = None
    caller: Secret | None = TOKEN
    """The secret by which a server over HTTP knows its callers."""

    @property
    def secret(self) -> Secret | None:
        """Return the secret that the client has to pass on, if there is one."""
        if self.url is not None:
            return self.caller
        return None if self.sandbox or self.key_file else KEY

    @property
    def arguments(self) -> list[str]:
        """Return the arguments that follow the program's name."""
        sandbox = ["--sandbox"] if self.sandbox else []
        return [*self.command[1:], *sandbox, *(word for folder in self.folders for word in ("--folder", folder))]


@dataclass(frozen=True)
class Client:
    """One client. Paths begin with `~` for the home folder, or with a variable on Windows."""

    name: str
    title: str
    servers: str
    """The key under which its file lists servers."""
    entry: "Callable[[Client, Connection], Entry]"
    """Returns what its file says about a connection."""
    format: Literal["json", "toml", "yaml"] = "json"
    comments: bool = False
    """Its JSON may have comments and trailing commas."""
    home: Mapping[str, str] = field(default_factory=dict)
    """The file for all projects, by `sys.platform`; under the empty name, on any other platform."""
    opens: str = ""
    """The command or menu of the client that opens that file."""
    project: str = ""
    """The file for one project, relative to its folder."""
    stdio: Mapping[str, str] = field(default_factory=dict)
    """Keys of an entry that starts a process, beside the usual ones."""
    http: Mapping[str, Any] = field(default_factory=dict)
    """Keys of an entry with an address, beside the usual ones."""
    url: str = "url"
    """The key of the address."""
    fill: str = ""
    """How its file says that the value of a variable belongs there; empty if it cannot."""
    bridged: bool = False
    """Its file takes no address, so that a bridge has to speak HTTP for it."""
    asks: bool = False
    """It asks for a secret itself, and keeps it."""
    on_desktop: bool = False
    """It is started by a click, so that it does not see variables that a shell sets."""
    project_folder: str = ""
    """How its file names the folder of the open project; empty if it cannot."""
    own: "Callable[[Client, Connection], list[str] | None]" = lambda _client, _connection: None
    """Returns its own command that adds the server; None if that cannot say all that is needed."""
    own_file: str = ""
    """The file that its own command writes, if that is another one."""
    then: str = ""
    """What to do so that it finds the server."""
    notes: tuple[str, ...] = ()

    def value(self, secret: Secret) -> str:
        """Return what its file has in place of a secret."""
        return self.fill.format(variable=secret.variable, input=secret.input) or f"<your {secret.words}>"

    def file(self, platform: str) -> str:
        """Return its file for all projects; empty if there is none on this platform."""
        return self.home.get(platform, self.home.get("", ""))

    def own_path(self) -> Path | None:
        """Return the file that its own command writes, if that is another one. Raises ValueError without a home."""
        return expand_home(self.own_file) if self.own_file else None

    def places(self, platform: str) -> list[str]:
        """Return in words where its configuration may go, the place for all projects first."""
        path = self.file(platform)
        if platform == "win32":
            path = path.replace("~", "%USERPROFILE%").replace("/", "\\")
        opened = self.opens and f"the file that {self.opens} opens"
        everywhere = f"{path} ({opened})" if path and opened else path or opened
        return [place for place in (everywhere, self.project and f"{self.project} in a project's folder") if place]
