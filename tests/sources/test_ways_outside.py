"""Ways to reach what is outside the folders, or what is never read: the tool refuses each, and sends nothing."""

import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from pydantic import SecretStr
from support.command import environment
from support.file_server import asking, file_server, text_of
from support.http import client as http_client
from support.http import serving
from support.upstream import Upstream, by_the_page, upstream

pytestmark = pytest.mark.anyio

CANARY = "CANARY: nobody but its owner reads this"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----\n"

OUTSIDE = {
    "parent": "file:../outside/plan.md",
    "parent in the middle": "file:calls/../../outside/plan.md",
    "parent after a file": "file:notes.md/../../outside/plan.md",
    "parent from the root": "file:{base}/material/../outside/plan.md",
    "parent that stays inside": "file:calls/../notes.md",
    "parent, encoded": "file:%2e%2e/outside/plan.md",
    "parent, half encoded": "file:.%2E/outside/plan.md",
    "parent, encoded twice": "file:%252e%252e/outside/plan.md",
    "slash, encoded": "file:..%2foutside%2fplan.md",
    "overlong UTF-8": "file:..%c0%afoutside%c0%afplan.md",
    "full-width dots": "file:\uff0e\uff0e/outside/plan.md",
    "backslashes": "file:..\\outside\\plan.md",
    "backslashes, encoded": "file:..%5coutside%5cplan.md",
    "whole path": "file:{base}/outside/plan.md",
    "whole path as a URL": "file://{base}/outside/plan.md",
    "whole path, encoded": "file:%2F{bare}/outside/plan.md",
    "whole path, other case of the scheme": "FiLe://{base}/outside/plan.md",
    "whole path on this host": "file://localhost{base}/outside/plan.md",
    "a folder whose name begins alike": "file:{base}/material-secret/plan.md",
    "another host": "file://files.example.com/share/plan.md",
    "this host by its number": "file://127.0.0.1{base}/outside/plan.md",
    "a share": "file:////files.example.com/share/plan.md",
    "a share, encoded": "file:%2F%2Ffiles.example.com/share/plan.md",
    "a share, as Windows writes it": "file:\\\\files.example.com\\share\\plan.md",
    "a drive": "file:///C:/Users/ada/plan.md",
    "a drive, as Windows writes it": "file:C:\\Users\\ada\\plan.md",
    "the home folder": "file:~/plan.md",
    "a variable": "file:$HOME/plan.md",
    "NUL": "file:notes.md%00/../../outside/plan.md",
    "a line break": "file:calls%0A/more.md",
    "a query": "file:notes.md?/../../outside/plan.md",
    "blanks before": "  file:../outside/plan.md",
    "a link": "file:link.md",
    "a link to a whole path": "file:link-absolute.md",
    "a link to a link": "file:link-to-link.md",
    "a link to a folder": "file:outside/plan.md",
    "a link to a folder above": "file:up/outside/plan.md",
    "a link to itself": "file:loop.md",
    "a link to nothing": "file:dangling.md",
    "the process's environment": "file:/proc/self/environ",
    "the process's input": "file:/dev/stdin",
    "a link to a device": "file:zero.md",
    "an open file of the process": "file:descriptor.md",
    "the root by way of the process": "file:/proc/self/root{base}/outside/plan.md",
    "the working folder by way of the process": "file:/proc/self/cwd/../outside/plan.md",
    "an open file by its number": "file:/dev/fd/0",
    "a link to the root of the process": "file:root{base}/outside/plan.md",
    "one dot leader for two dots": "file:\u2025/outside/plan.md",
    "parent and a blank": "file:.. /outside/plan.md",
    "parent and a dot": "file:.../outside/plan.md",
    "the other case of the folder": "file:{base}/MATERIAL/notes.md",
    "a path that is too long": "file:" + "a/" * 50_000 + "plan.md",
    "a name that is too long": "file:" + "a" * 5_000 + ".md",
}
NEVER_READ = {
    "an .env": "file:.env",
    "a hidden file": "file:.notes.md",
    "a hidden folder": "file:.git/notes.md",
    "a hidden folder on the way": "file:calls/.old/notes.md",
    "a hidden file, encoded": "file:%2enotes.md",
    "a hidden file, by its whole path": "file:{base}/material/.notes.md",
    "a link to a hidden file": "file:link-hidden.md",
    "a key": "file:id_rsa",
    "a key with a suffix": "file:ID_RSA.txt",
    "a certificate's key": "file:server.pem",
    "credentials": "file:credentials.json",
    "an env file as text": "file:production.env.txt",
    "a file that is huge": "file:huge.csv",
    "a file that is huge and empty": "file:sparse.md",
    "an env file with a name": "file:production.env",
    "passwords": "file:passwords.csv",
    "a link to a key": "file:link-key.md",
    "a key in a text": "file:harmless.md",
    "a pipe": "file:pipe.md",
    "a socket": "file:socket.md",
    "a folder": "file:calls",
    "a folder named like a file": "file:folder.md",
    "the folder itself": "file:.",
    "the folder itself, whole": "file:{base}/material",
    "nothing": "file:",
    "no path": "file:///",
    "a kind that is not read": "file:photo.png",
    "what is not there": "file:missing.md",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to read, `material`, full of traps, and beside it what is not to be read."""
    base = tmp_path_factory.mktemp("base").resolve()
    secrets = ["outside/plan.md", "material-secret/plan.md"]
    secrets += [f"material/{name}" for name in (".env", ".notes.md", ".git/notes.md", "calls/.old/notes.md", "id_rsa")]
    secrets += [f"material/{name}" for name in ("ID_RSA.txt", "server.pem", "credentials.json", "production.env")]
    secrets += ["material/production.env.txt"]
    secrets += [f"material/{name}" for name in ("passwords.csv", "photo.png", "folder.md/plan.md")]
    inside = {"material/notes.md": "inside", "material/calls/more.md": "inside", "material/harmless.md": KEY}
    for name, content in {**dict.fromkeys(secrets, CANARY), **inside}.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(content)
    for name, target in {
        "link.md": "../outside/plan.md",
        "link-absolute.md": f"{base}/outside/plan.md",
        "link-to-link.md": "link.md",
        "outside": "../outside",
        "up": "..",
        "loop.md": "loop.md",
        "dangling.md": "nowhere.md",
        "zero.md": "/dev/zero",
        "root": "/proc/self/root",
        "descriptor.md": "/proc/self/fd/0",
        "link-hidden.md": ".notes.md",
        "link-key.md": "id_rsa",
    }.items():
        (base / "material" / name).symlink_to(target)
    for name, size in {"huge.csv": 26 * 2**20, "sparse.md": 2**40}.items():
        with (base / "material" / name).open("wb") as file:
            file.truncate(size)
    os.mkfifo(base / "material" / "pipe.md")
    return base


def test_there_are_more_than_forty_ways() -> None:
    """As many as were asked for, all of them different."""
    assert len({*OUTSIDE.values(), *NEVER_READ.values()}) == len(OUTSIDE) + len(NEVER_READ)
    assert len(OUTSIDE) >= 40


@asynccontextmanager
async def over_stdio(folder: Path) -> AsyncIterator[tuple[Client, Upstream]]:
    """The command in a process of its own."""
    async with upstream(by_the_page) as octave:
        command = StdioServerParameters(
            command=sys.executable,
            args=["-m", "octave_mcp", "--folder", str(folder)],
            env=environment(
                OCTAVE_BASE_URL=octave.url, OCTAVE_API_KEY="sk-canary-0123456789", OCTAVE_MCP_STATE_URL="memory://"
            ),
        )
        async with Client(command) as client:
            yield client, octave


@asynccontextmanager
async def over_http(folder: Path) -> AsyncIterator[tuple[Client, Upstream]]:
    """The server for a team."""
    async with (
        upstream(by_the_page) as octave,
        serving(base_url=octave.url, api_key=SecretStr("sk-canary-0123456789"), folders=(folder,)) as url,
        http_client(url) as client,
    ):
        yield client, octave


@pytest.mark.parametrize("serve", [over_stdio, over_http])
async def test_no_way_leads_outside_and_nothing_is_sent(
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[[Path], AbstractAsyncContextManager[tuple[Client, Upstream]]],
) -> None:
    """Beside a source that is fine, so that one bad file is enough for nothing to be sent; the file is named."""
    monkeypatch.setenv("HOME", str(base / "outside"))
    monkeypatch.chdir(base / "material")
    (base / "material" / "socket.md").unlink(missing_ok=True)
    wrong = {}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.md")
        async with serve(base / "material") as (client, octave):
            for way, template in {**OUTSIDE, **NEVER_READ}.items():
                address = template.format(base=base, bare=str(base).lstrip("/"))
                result = await client.call_tool("generate_personas", asking("file:notes.md", address))
                text = text_of(result)
                if not result.is_error or CANARY in text or "personas[0].sources[1]" not in text or octave.requests:
                    wrong[way] = text
            assert not (await client.call_tool("generate_personas", asking("file:notes.md"))).is_error
    assert wrong == {}
    assert [persona["sources"] for persona in octave.asked] == [[{"type": "TEXT", "value": "inside"}]]


async def test_without_folders_a_file_address_is_an_error_that_says_what_to_configure(base: Path) -> None:
    """And neither schema nor descriptions mention files."""
    async with file_server() as (client, octave):
        result = await client.call_tool("generate_personas", asking(f"file:{base}/material/notes.md"))
        listed = (await client.list_tools()).tools
        wrong_kind = await client.call_tool("list_library", {"kind": "files"})
    assert result.is_error
    assert "OCTAVE_MCP_FOLDERS" in text_of(result)
    assert octave.requests == []
    assert "file:" not in "".join(tool.model_dump_json() for tool in listed)
    assert wrong_kind.is_error
