"""`octave-personas-mcp doctor`: one line for each check, what to do where it fails, an exit code, and never the key."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme
from support.command import Ran, ended, environment, run
from support.library import Library
from support.upstream import (
    Request,
    Respond,
    Upstream,
    always,
    answer,
    by_the_page,
    error_envelope,
    metadata,
    timestamp,
    upstream,
)

from octave_mcp.clients.files import client_file
from octave_mcp.clients.table import BY_NAME

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
CREDITS = {"totalRemaining": 12, "totalMax": 100, "quotaAvailable": 5, "quotaMax": 50, "period": "MONTHLY"}
WORKSPACE = {"valid": True, "workspaceName": "Acme GTM", "workspaceOId": "wa_1", "organizationName": "Acme"}
CHECKS = ["versions", "settings", "key", "origin", "certificate", "key valid", "workspace", "credits", "store", "clock"]


Found = dict[str, tuple[str, str]]


def lines(ran: Ran) -> Found:
    """Each check's mark and text, in their order."""
    assert KEY not in ran.out + ran.err
    assert "canary" not in ran.out + ran.err
    assert "Traceback" not in ran.err
    *checks, empty, verdict = ran.out.splitlines()
    assert empty == ""
    assert verdict.startswith("All good.") is not any(line.startswith(("FAIL", "warn")) for line in checks)
    found: Found = {}
    for line in checks:
        if line.startswith("skip"):
            names, _, why = line[6:].partition(": ")
            found |= dict.fromkeys(names.split(", "), ("skip", why))
        else:
            found[line[6:17].strip()] = (line[:5].strip(), line[17:].strip())
    return found


async def examined(look_up: Respond, **settings: str) -> tuple[Ran, Upstream]:
    """Run it against an upstream whose look-ups are answered so."""
    async with upstream(by_the_page) as octave:
        octave.look_up = look_up
        return await run("doctor", env=environment(octave, **settings)), octave


def valid(at: float | None = None) -> Respond:
    """Answer that the key is valid, at that time."""

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        meta = metadata(usage=0, timestamp=timestamp(at))
        writer.write(answer({"_metadata": meta, **WORKSPACE, "credits": CREDITS}))

    return respond


async def test_where_all_is_well_each_check_says_so_and_nothing_is_paid_for() -> None:
    """One look-up, and no POST."""
    ran, octave = await examined(valid())
    found = lines(ran)
    assert list(found) == CHECKS
    assert {mark for mark, _ in found.values()} == {"ok"}
    assert ran.code == 0
    assert found["workspace"][1] == "Acme GTM (wa_1), of Acme"
    assert found["credits"][1] == "5 of 50 this month; 12 of 100 in total"
    assert ran.out.endswith('All good. Ask your assistant, for example: "Build two personas from these notes: …"\n')
    assert found["certificate"][1] == "not needed"
    assert [request.path for request in octave.looked_up] == ["/api/v2/api-key/validate"]
    assert octave.requests == []


@pytest.mark.parametrize("arguments", [("--sandbox", "doctor"), ("doctor", "--sandbox")])
async def test_the_sandbox_needs_nothing(arguments: tuple[str, str]) -> None:
    """No key, no network."""
    ran = await run(*arguments, env=environment())
    assert {mark for mark, _ in lines(ran).values()} == {"ok"}
    assert ran.code == 0


async def test_without_a_key_the_rest_is_checked_all_the_same() -> None:
    """As far as it can be."""
    async with upstream(by_the_page) as octave:
        ran = await run("doctor", env={**environment(octave), "OCTAVE_API_KEY": ""})
    found = lines(ran)
    assert (found["key"][0], found["key valid"][0], found["store"][0], ran.code) == ("FAIL", "skip", "ok", 1)
    assert ran.out.endswith("\n1 problem: key\n")
    assert "set OCTAVE_API_KEY" in found["key"][1]


@pytest.mark.parametrize(
    ("settings", "check", "words"),
    [
        ({"OCTAVE_API_KEY": "canary with spaces"}, "key", "no spaces"),
        ({"OCTAVE_API_KEY": "${canary}"}, "key", "placeholder"),
        ({"OCTAVE_BASE_URL": "http://octave.example"}, "settings", "must use https"),
    ],
)
async def test_settings_that_cannot_be_used_are_told_with_exit_code_2(
    settings: dict[str, str], check: str, words: str
) -> None:
    """Without what they were."""
    ran, octave = await examined(valid(), **settings)
    found = lines(ran)
    assert found[check][0] == "FAIL"
    assert words in found[check][1]
    assert ran.code == 2
    assert octave.connections == 0


@pytest.mark.parametrize(
    ("look_up", "words"),
    [
        (always(error_envelope(f"No such key: {KEY}"), status=401), ["rejected this API key", "Look at the key"]),
        (always(error_envelope("Forbidden"), status=403), ["Forbidden", "plan may not include the API"]),
        (Library(workspace={"status": "ok", "valid": False}), ["not valid"]),
        (always(b"", status=307, headers={"location": "https://x.example"}), ["redirects", "OCTAVE_BASE_URL"]),
        (always(b"<html>Hello</html>"), ["cannot be read"]),
        (always(error_envelope("Slow"), status=429, headers={"retry-after": "700"}), ["in 700 seconds"]),
    ],
)
async def test_a_key_that_does_not_work_says_why_and_what_to_do(look_up: Respond, words: list[str]) -> None:
    """In Octave's words too."""
    ran, _ = await examined(look_up)
    found = lines(ran)
    assert found["key valid"][0] == "FAIL"
    assert all(word in found["key valid"][1] for word in words)
    assert (found["workspace"][0], found["store"][0], ran.code) == ("skip", "ok", 1)


async def test_a_platforms_telemetry_variables_are_named() -> None:
    """They would end the start of the server, if it did not ignore them; so the report is made all the same."""
    ran = await run("doctor", "--sandbox", env=environment(OTEL_PROPAGATORS="xray,tracecontext"))
    mark, text = lines(ran)["telemetry"]
    assert (mark, ran.code) == ("warn", 0)
    assert "OTEL_PROPAGATORS" in text


async def test_an_origin_that_is_not_there_is_told() -> None:
    """With the setting to change."""
    async with upstream(by_the_page) as gone:
        pass
    found = lines(ran := await run("doctor", env=environment(gone)))
    assert found["origin"][0] == "FAIL"
    assert "OCTAVE_BASE_URL" in found["origin"][1]
    assert (found["key valid"][0], ran.code) == ("skip", 1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """One that nobody trusts unless told to."""
    return trustme.CA()


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_certificate_is_trusted_or_the_authority_is_to_be_added(
    authority: trustme.CA,
    trusted: bool,  # noqa: FBT001 - both
    tmp_path: Path,
) -> None:
    """As behind a company's proxy; the key has not left by then."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with upstream(by_the_page, certificate=context) as octave:
        octave.look_up = valid()
        own = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")} if trusted else {}
        ran = await run("doctor", env=environment(octave, **own))
    found = lines(ran)
    assert (found["certificate"][0], ran.code) == (("ok", 0) if trusted else ("FAIL", 1))
    assert trusted or "Add the authority" in found["certificate"][1]
    assert trusted or octave.looked_up == []


async def test_a_store_that_cannot_be_kept_is_told_with_its_path(tmp_path: Path) -> None:
    """A person has to find it."""
    ledger = tmp_path / "ledger"
    ledger.write_bytes(b"no database " * 200)
    ran, _ = await examined(valid(), OCTAVE_MCP_STATE_URL=f"sqlite:///{ledger}")
    mark, text = lines(ran)["store"]
    assert (mark, ran.code) == ("FAIL", 1)
    assert "damaged" in text
    assert str(ledger) in text


@pytest.mark.parametrize("seconds", [-3600, 3600])
async def test_a_clock_that_is_off_is_a_warning(seconds: int) -> None:
    """Everything works but the finding of what was lost."""
    ran, _ = await examined(valid(time.time() + seconds))
    mark, text = lines(ran)["clock"]
    assert (mark, ran.code) == ("warn", 0)
    assert "set this machine's clock" in text
    assert ("behind" in text) == (seconds > 0)


async def test_no_credits_are_a_warning_and_none_told_are_not() -> None:
    """A warning changes no exit code."""
    library = Library(workspace={**WORKSPACE, "credits": {"totalRemaining": 0, "totalMax": 100}})
    ran, _ = await examined(library)
    assert lines(ran)["credits"][0] == "warn"
    library.workspace.pop("credits")
    ran, _ = await examined(library)
    assert lines(ran)["credits"] == ("ok", "Octave does not say how many are left")
    assert ran.code == 0


async def test_a_proxy_on_the_way_is_the_one_that_has_to_answer() -> None:
    """For an encrypted origin, as the client itself does."""
    async with upstream(by_the_page) as gone:
        pass
    env = environment(OCTAVE_API_KEY=KEY, HTTPS_PROXY=gone.url, OCTAVE_BASE_URL="https://octave.invalid")
    ran = await run("doctor", env={**env, "NO_PROXY": "", "no_proxy": ""})
    mark, text = lines(ran)["origin"]
    assert mark == "FAIL"
    assert text.startswith(f"the proxy localhost:{gone.port}, on the way to https://octave.invalid")


async def test_names_that_are_no_setting_are_warned_of_with_the_nearest() -> None:
    """A misspelt setting has no effect, and nobody would know."""
    ran = await run("doctor", "--sandbox", env=environment(OCTAVE_MCP_WAIT_SECOND="20", OCTAVE_MCP_TOKEN="x"))
    assert lines(ran)["names"] == (
        "warn",
        "OCTAVE_MCP_WAIT_SECOND is not a setting: did you mean OCTAVE_MCP_WAIT_SECONDS?",
    )
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "1 warning: names")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such permissions")
@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o644, True)])
async def test_a_key_file_that_others_can_read_is_a_warning(tmp_path: Path, mode: int, warned: bool) -> None:  # noqa: FBT001 - both
    """The line says how to change it."""
    path = tmp_path / "key"
    path.write_text(KEY, encoding="utf-8")
    path.chmod(mode)
    ran, _ = await examined(valid(), OCTAVE_API_KEY="", OCTAVE_API_KEY_FILE=str(path))
    found = lines(ran)
    assert found["key"][0] == "ok"
    assert ("key file" in found) is warned
    assert not warned or f"chmod 600 {path}" in found["key file"][1]


# --- A client's configuration -----------------------------------------------------------------------------------------


async def of_client(client: str, home: Path, *arguments: str, key: str = "") -> tuple[Ran, Found]:
    """Check a client's configuration in a home folder."""
    env = {**os.environ, "HOME": str(home), **({"OCTAVE_API_KEY": key} if key else {})}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "octave_mcp", "doctor", "--client", client, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
        cwd=home,
    )
    ran = await ended(process)
    return ran, lines(ran)


def configured(home: Path, client: str, *options: str) -> Path:
    """Write a client's configuration into a home folder. Return its file."""
    subprocess.run(
        [sys.executable, "-m", "octave_mcp", "config", client, "--write", *options],
        env={**os.environ, "HOME": str(home)},
        check=True,
        capture_output=True,
        timeout=60,
    )
    path = client_file(BY_NAME[client])
    assert path
    return home / path.relative_to(Path.home())


async def test_a_clients_entry_is_found_and_started_as_the_client_does(tmp_path: Path) -> None:
    """Its command and arguments, of which one asks for the sandbox."""
    configured(tmp_path, "cursor", "--sandbox")
    ran, found = await of_client("cursor", tmp_path)
    assert list(found) == ["file", "command", "start", "workspace"]
    assert {mark for mark, _ in found.values()} == {"ok"}
    assert ran.code == 0
    assert found["start"][1] == "6 tools"


async def test_a_placeholder_that_was_left_is_named_before_and_after_the_start(tmp_path: Path) -> None:
    """The server says it too, as it would in the chat; comments in the file are passed over."""
    path = configured(tmp_path, "zed")
    text = path.read_text(encoding="utf-8").replace("{", "{ // mine", 1)
    path.write_text(text.replace('"env": {', '"env": {"OCTAVE_MCP_CONFIRMS": "ask", /* why */', 1), encoding="utf-8")
    ran, found = await of_client("zed", tmp_path)
    assert ran.code == 1
    assert found["environment"] == ("FAIL", "OCTAVE_API_KEY still contains a placeholder: put the value in its place")
    assert "did you mean OCTAVE_MCP_CONFIRM?" in found["names"][1]
    assert found["start"][0] == "ok"
    assert "OCTAVE_API_KEY still contains a placeholder" in found["workspace"][1]


async def test_a_variable_that_the_client_fills_in_has_to_be_set(tmp_path: Path) -> None:
    """If it is, the server gets its value."""
    configured(tmp_path, "gemini-cli")
    _, found = await of_client("gemini-cli", tmp_path)
    assert "OCTAVE_API_KEY is not set here" in found["environment"][1]
    assert "No Octave API key is set" in found["workspace"][1]
    async with upstream(by_the_page) as octave:
        octave.look_up = valid()
        _, found = await of_client("gemini-cli", tmp_path, key=KEY)
    assert "environment" not in found
    assert "No Octave API key is set" not in found["workspace"][1]


async def test_a_client_without_an_entry_or_with_a_wrong_one_is_told_what_to_do(tmp_path: Path) -> None:
    """With the command that helps."""
    ran, found = await of_client("claude-code", tmp_path)
    assert (found["file"][0], ran.code) == ("FAIL", 1)
    assert "octave-personas-mcp config claude-code says what goes there" in found["file"][1]
    configured(tmp_path, "cursor", "--name", "gone")
    path = tmp_path / ".cursor" / "mcp.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["mcpServers"]["gone"]["command"] = "/nowhere/octave-personas-mcp"
    content["mcpServers"]["breaks"] = {"command": sys.executable, "args": ["-c", "pass"]}
    content["mcpServers"]["far"] = {"url": "https://personas.example.com/mcp"}
    path.write_text(json.dumps(content), encoding="utf-8")
    _, found = await of_client("cursor", tmp_path, "--name", "gone")
    assert "there is no program /nowhere/octave-personas-mcp" in found["command"][1]
    _, found = await of_client("cursor", tmp_path, "--name", "breaks")
    assert "the server did not answer" in found["start"][1]
    ran, found = await of_client("cursor", tmp_path, "--name", "far")
    assert (found["start"][0], ran.code) == ("skip", 0)
    path.write_text("[]", encoding="utf-8")
    _, found = await of_client("cursor", tmp_path)
    assert "not a JSON object" in found["file"][1]
    assert "octave-personas-mcp doctor, without --client, checks the key" in found["file"][1]
    ran = await run("doctor", "--client", "cursr", env=environment())
    assert (ran.code, "did you mean cursor?" in ran.out) == (2, True)
