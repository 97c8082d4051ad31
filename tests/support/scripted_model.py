"""A model that answers from a script, on loopback, as OpenAI's chat completions do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from support.upstream import Request, Upstream, answer, upstream

Says = Callable[[dict[str, Any]], str | dict[str, Any]]
"""Returns the answer to a request: a text, or the arguments of tools by their names."""


@asynccontextmanager
async def scripted_model(says: Says) -> AsyncIterator[Upstream]:
    """Serve a model that answers so."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        said = says(request.json)
        calls = {} if isinstance(said, str) else said
        message: dict[str, Any] = {"role": "assistant", "content": said if isinstance(said, str) else None}
        if calls:
            functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls.items()]
            message["tool_calls"] = [
                {"id": f"call_{request.number}_{place}", "type": "function", "function": function}
                for place, function in enumerate(functions)
            ]
        choice = {"index": 0, "finish_reason": "tool_calls" if calls else "stop", "message": message}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "scripted", "choices": [choice]}
        writer.write(answer({**whole, "usage": usage}))

    async with upstream(respond) as serving:
        yield serving
