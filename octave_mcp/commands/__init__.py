"""The commands that a person runs. Each is a module with `add_arguments(parser)` and `run(options)`.

To add a command, add its module and its line to `COMMANDS`. A module is imported when its command is run, so that none
makes the start of the server slower.
"""

from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "demo": "see the server work on sample data: a real client and three personas, no key needed",
    "config": "print or write a client's configuration of this server",
    "doctor": "check the key, the network and the settings; costs nothing",
    "generate": "generate personas from a JSON or CSV file, without an MCP client",
    "export": "write the workspace's personas as Markdown, CSV or JSON",
    "http": "serve a team over HTTP",
    "sandbox": "serve an Octave-compatible API on sample data, over HTTP",
}
"""What each command does, by its name, in the order in which `--help` lists them."""

WITH_SANDBOX = frozenset({"demo", "config", "doctor", "generate", "export", "http"})
"""Commands that take `--sandbox` after their name too."""
