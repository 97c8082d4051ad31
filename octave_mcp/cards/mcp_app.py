"""The extension MCP Apps: one HTML page, the persona cards, that hosts show beside the results of four tools.

The page is `personas.html` beside this module, built from `cards/` by `make cards`, and served as
`text/html;profile=mcp-app`. It is read when a host asks for it, so that a start costs nothing. A client that does not
know MCP Apps sees no difference but the tools' `_meta`.
"""

from pathlib import Path
from typing import Any

from mcp.server.apps import APP_MIME_TYPE, Apps
from mcp.server.mcpserver.resources import FileResource

APP_URI = "ui://octave/personas.html"
"""The address of the page, which hosts read as a resource."""

PAGE = Path(__file__).with_name("personas.html")
"""The page, in one file that loads nothing else."""

_TOOLS = frozenset({"generate_personas", "get_generation", "get_persona", "list_personas"})
"""The tools whose results the page shows."""

_RESOURCE_META = {
    "ui": {
        # No address at all may be loaded or called. A `domain` is left out: a wrong one is fatal on some hosts.
        "csp": {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []},
        "permissions": {"clipboardWrite": {}},
        "prefersBorder": True,
    }
}


def app_meta(tool: str) -> dict[str, Any] | None:
    """Return the `_meta` of a tool's definition, which names the page that shows its results; None if there is none.

    The flat key is for hosts of before the stable text of the extension.
    """
    return {"ui": {"resourceUri": APP_URI}, "ui/resourceUri": APP_URI} if tool in _TOOLS else None


def personas_app() -> Apps:
    """Return the extension that offers the page. Tools are bound to it by their `_meta`."""
    apps = Apps()
    apps.add_resource(
        FileResource(
            uri=APP_URI,
            name="persona_cards",
            title="Persona cards",
            description="The page that shows personas as cards. Hosts that know MCP Apps read it by themselves.",
            mime_type=APP_MIME_TYPE,
            encoding="utf-8",
            path=PAGE,
            meta=_RESOURCE_META,
        )
    )
    return apps
