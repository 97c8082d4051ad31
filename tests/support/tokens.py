"""The real tokenizer that budgets are measured with."""

import json
from functools import cache
from typing import Any

import bpe_openai
from mcp.types import CallToolResult, TextContent


@cache
def _o200k() -> Any:
    return bpe_openai.get_encoding("o200k_base")


def o200k(text: str) -> int:
    """Return the tokens of `text` in o200k."""
    return len(_o200k().encode(text))


def channels(result: CallToolResult) -> tuple[str, str]:
    """Return a result's two channels as hosts show them: its text, and its structured content as compact JSON."""
    text = "".join(block.text for block in result.content if isinstance(block, TextContent))
    return text, json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":"))
