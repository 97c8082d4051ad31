"""Puts what was measured into a document, between two markers."""

from pathlib import Path
from typing import Final

BEGIN: Final = "<!-- bench -->"
END: Final = "<!-- /bench -->"


def put(text: str, document: Path) -> None:
    """Replace what stands between the markers. Raises ValueError where there is not one of each, in order."""
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in after:
        raise ValueError(f"{document.name} needs {BEGIN} and then {END}, once each")
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
