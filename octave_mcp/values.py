"""Values as people, env files and MCP clients write them: what to take off, and what cannot be used."""

import ipaddress
import re
from pathlib import Path
from typing import get_args
from urllib.parse import SplitResult, urlsplit

import platformdirs
from pydantic import SecretStr
from pydantic.fields import FieldInfo

_UNEXPANDED = re.compile(
    r"\$\{[^}]*\}|\{\{.*\}\}|\{env:\w+\}|^\$(env:)?[A-Za-z_]\w*(?=$|[/\\])|^%\w+%|^<.*>$", re.IGNORECASE
)
"""A variable that nobody replaced with its value, such as `${OCTAVE_API_KEY}` or `<name>`."""

_STAND_IN = re.compile(
    r"^(your|my)[-_ ](\w+[-_ ])?api[-_ ]?key([-_ ]here)?$|^change[-_ ]?me$|^[*x.…]{3,}$", re.IGNORECASE
)
"""Words that stand for a secret in examples, such as `YOUR_API_KEY`."""

SENDABLE = re.compile(r"[\x21-\x7e]+")
"""Characters that a header carries without ambiguity: printable ASCII without spaces."""

QUOTES = "\"'`"
"""A key that still begins or ends with one of these was copied with half of its quotation marks."""

ENV_FILE_QUOTES = "\"'"
"""Quotes that env files put around a value. `docker run --env-file` and some MCP clients do not remove them."""

KEY_RULE = "an API key has only printable ASCII characters, no spaces and no quotes"

REMOVED = "[key removed]"
"""Text in place of a secret that came back from somewhere."""

SHORTEST_SECRET = 8
"""Fewest characters of a secret that is removed: a shorter one may be a common word."""

MAX_KEY_BYTES = 4096
"""Bound on what is read of a key file, so that a wrong path cannot fill the memory. Keys have fewer than 200 bytes."""


def without_quotes(text: str) -> str:
    """Return `text` without the blanks, line ends and one pair of quotes around it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in ENV_FILE_QUOTES:
        return text[1:-1].strip()
    return text


def is_placeholder(value: str, *, secret: bool = False) -> bool:
    """Return whether this stands for a value that nobody put in its place. `secret`: the value is a key or a token."""
    return bool(_UNEXPANDED.search(value) or (secret and _STAND_IN.search(value)))


def expand_home(path: str | Path) -> Path:
    """Return a path with its `~` expanded. Raises ValueError if there is no such home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"{path} begins with a home folder that is not known: set HOME, or write it out") from None


def user_data_path(name: str) -> Path:
    """Return the folder of a program's data. Raises ValueError if there is no home folder that it could be in."""
    try:
        return platformdirs.user_data_path(name)
    except RuntimeError:
        raise ValueError(
            "OCTAVE_MCP_STATE_URL must be sqlite:///PATH or postgresql://USER@HOST:PORT/DATABASE, as no home folder of "
            "this user is known; or set HOME"
        ) from None


def secret_in(path: Path | None) -> SecretStr | None:
    """Return the content of a key file. Raises ValueError, which does not show it."""
    if path is None:
        return None
    try:
        with path.expanduser().open("rb") as file:
            content = file.read(MAX_KEY_BYTES + 1)
        if len(content) > MAX_KEY_BYTES:
            raise ValueError("names a file that is too large to be a key file")
        text = without_quotes(content.decode("utf-8-sig"))
        if is_placeholder(text, secret=True):
            raise ValueError("names a file that still contains a placeholder: put your Octave API key in its place")
        return SecretStr(text)
    except FileNotFoundError:
        raise ValueError("names a file that does not exist") from None
    except UnicodeDecodeError:
        raise ValueError("names a file that cannot be read as text: it has to be a UTF-8 file") from None
    except RuntimeError:
        raise ValueError("names a file in a home folder that is not known: give its whole path") from None
    except OSError as error:
        raise ValueError(f"names a file that cannot be read ({error.strerror})") from None


def is_sendable(secret: SecretStr) -> bool:
    """Return whether this, stripped, is empty or a key that a header can carry."""
    key = secret.get_secret_value().strip()
    if not key:
        return True
    if is_placeholder(key, secret=True) or key[0] in QUOTES or key[-1] in QUOTES or key.startswith("OCTAVE_API_KEY="):
        return False
    return SENDABLE.fullmatch(key) is not None


_USUAL_PORTS = {"https": ":443", "http": ":80"}


def address_in(value: str) -> SplitResult | None:
    """Return an https or http address, taken apart; None if it is none.

    Its host is in small letters, without the scheme's usual port: one address has one spelling.
    """
    try:
        parts = urlsplit(value.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in _USUAL_PORTS:
        return None
    return parts._replace(netloc=parts.netloc.lower().removesuffix(":").removesuffix(_USUAL_PORTS[parts.scheme]))


def this_machine(host: str) -> bool:
    """Return whether a host name or address reaches only this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_values(field: FieldInfo) -> str:
    """Return in words what a setting may be that is true or false, a number, or a choice; "" for any other."""
    kinds = get_args(field.annotation) or (field.annotation,)
    if bool in kinds:
        return "true or false"
    if int not in kinds and float not in kinds:
        choices = [kind for kind in kinds if isinstance(kind, str)]
        return f"{', '.join(choices[:-1])} or {choices[-1]}" if choices else ""
    number = "a whole number" if int in kinds else "a number"
    bounds = {
        name: f"{getattr(one, name):.10g}"
        for one in field.metadata
        for name in ("ge", "gt", "le")
        if getattr(one, name, None) is not None
    }
    low = f"from {bounds['ge']}" if "ge" in bounds else f"above {bounds['gt']}"
    if "le" in bounds:
        return f"{number} {low} to {bounds['le']}" if "ge" in bounds else f"{number} {low}, {bounds['le']} at most"
    return f"{number} {low} up" if "ge" in bounds else f"{number} {low}"
