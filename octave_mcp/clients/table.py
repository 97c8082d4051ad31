"""The MCP clients that this server can be configured for: each is declared once, in `CLIENTS`.

The command `config`, the check `doctor --client` and the documentation are made from it. To add a client, add it here;
if its file has a form of its own, add a function to `entries`. The comment above each names the source of its
keys. What a client does not need is left out.
"""

from octave_mcp.clients.entries import (
    add_claude,
    add_code,
    add_copilot,
    add_gemini,
    codex_entry,
    continue_entry,
    goose_entry,
    opencode_entry,
    usual_entry,
)
from octave_mcp.clients.model import Client

CLIENTS = (
    # modelcontextprotocol.io, "Connect to local MCP servers"; the bridge: mcp-remote 0.15, README.
    Client(
        name="claude-desktop",
        title="Claude Desktop",
        servers="mcpServers",
        entry=usual_entry,
        home={
            "darwin": "~/Library/Application Support/Claude/claude_desktop_config.json",
            "win32": "%APPDATA%/Claude/claude_desktop_config.json",
        },
        opens="Settings > Developer > Edit Config",
        bridged=True,
        on_desktop=True,
        then="Quit Claude Desktop completely, not only its window, and start it again.",
    ),
    # code.claude.com, "Connect Claude Code to tools via MCP"; Claude Code 2.1.332 itself. It waits 30 s for a start.
    Client(
        name="claude-code",
        title="Claude Code",
        servers="mcpServers",
        entry=usual_entry,
        project=".mcp.json",
        stdio={"type": "stdio"},
        http={"type": "http"},
        fill="${{{variable}}}",
        project_folder="${CLAUDE_PROJECT_DIR:-.}",
        own=add_claude,
        own_file="~/.claude.json",
        then="Start claude; /mcp shows the server. One from a project's file has to be approved first.",
    ),
    # cursor.com/docs/mcp, "Configuration locations" and "Config interpolation".
    Client(
        name="cursor",
        title="Cursor",
        servers="mcpServers",
        entry=usual_entry,
        home={"": "~/.cursor/mcp.json"},
        project=".cursor/mcp.json",
        stdio={"type": "stdio"},
        fill="${{env:{variable}}}",
        on_desktop=True,
        project_folder="${workspaceFolder}",
        then="Cursor's settings list it among the MCP servers; switch it on there.",
    ),
    # microsoft/vscode-docs, docs/copilot/reference/mcp-configuration.md and docs/copilot/customization/mcp-servers.md.
    Client(
        name="vscode",
        title="VS Code",
        servers="servers",
        entry=usual_entry,
        comments=True,
        home={
            "": "~/.config/Code/User/mcp.json",
            "darwin": "~/Library/Application Support/Code/User/mcp.json",
            "win32": "%APPDATA%/Code/User/mcp.json",
        },
        opens="MCP: Open User Configuration",
        project=".vscode/mcp.json",
        stdio={"type": "stdio"},
        http={"type": "http"},
        fill="${{input:{input}}}",
        asks=True,
        on_desktop=True,
        project_folder="${workspaceFolder}",
        own=add_code,
        then="Choose Start above the server in that file, or in the command MCP: List Servers.",
    ),
    # docs.windsurf.com, "Cascade MCP integration"; docs.devin.ai, "MCP configuration", for the other agent.
    Client(
        name="windsurf",
        title="Windsurf",
        servers="mcpServers",
        entry=usual_entry,
        home={"": "~/.codeium/windsurf/mcp_config.json"},
        url="serverUrl",
        fill="${{env:{variable}}}",
        on_desktop=True,
        then="Refresh the list of MCP servers in Cascade.",
        notes=(
            "Windsurf was renamed Devin Desktop in June 2026; its agent Devin Local reads ~/.config/devin/config.json.",
        ),
    ),
    # zed-industries/zed, docs/src/ai/mcp.md and crates/settings_content/src/project.rs, where `args` is not optional.
    Client(
        name="zed",
        title="Zed",
        servers="context_servers",
        entry=usual_entry,
        comments=True,
        home={"": "~/.config/zed/settings.json", "win32": "%APPDATA%/Zed/settings.json"},
        opens="zed: open settings file",
        on_desktop=True,
        then="The Agent Panel's settings show a green dot at the server.",
    ),
    # google-gemini/gemini-cli, docs/tools/mcp-server.md and docs/reference/configuration.md. Its limit is 10 minutes.
    Client(
        name="gemini-cli",
        title="Gemini CLI",
        servers="mcpServers",
        entry=usual_entry,
        home={"": "~/.gemini/settings.json"},
        project=".gemini/settings.json",
        url="httpUrl",
        fill="${variable}",
        own=add_gemini,
        then="gemini mcp list, in a folder that Gemini CLI trusts, shows whether it is connected.",
    ),
    # openai/codex, codex-rs/config/src/mcp_types.rs; Codex CLI 0.169 itself. Its own command cannot say `required`.
    Client(
        name="codex-cli",
        title="Codex CLI",
        servers="mcp_servers",
        entry=codex_entry,
        format="toml",
        home={"": "~/.codex/config.toml"},
        project=".codex/config.toml",
        fill="{variable}",
        then="codex mcp list shows it.",
        notes=(
            "`required = true` makes Codex wait for the server, and stop if it does not start.",
            (
                "codex exec asks nobody, and so refuses the tool that spends credits. This line allows it: "
                'default_tools_approval_mode = "approve"'
            ),
        ),
    ),
    # opencode.ai/docs/mcp-servers and /docs/config; opencode 1.18.33 itself.
    Client(
        name="opencode",
        title="opencode",
        servers="mcp",
        entry=opencode_entry,
        comments=True,
        home={"": "~/.config/opencode/opencode.json"},
        project="opencode.json",
        http={"type": "remote"},
        fill="{{env:{variable}}}",
        then="opencode mcp list shows whether it is connected.",
    ),
    # Qwen Code 0.24.4 itself, whose file is that of Gemini CLI.
    Client(
        name="qwen-code",
        title="Qwen Code",
        servers="mcpServers",
        entry=usual_entry,
        home={"": "~/.qwen/settings.json"},
        project=".qwen/settings.json",
        url="httpUrl",
        fill="${variable}",
        then="qwen mcp list shows whether it is connected.",
    ),
    # docs.github.com, "Adding MCP servers for GitHub Copilot CLI"; Copilot CLI 1.0.102 itself.
    Client(
        name="copilot-cli",
        title="GitHub Copilot CLI",
        servers="mcpServers",
        entry=lambda client, connection: {**usual_entry(client, connection), "tools": ["*"]},
        home={"": "~/.copilot/mcp-config.json"},
        project=".github/mcp.json",
        stdio={"type": "local"},
        http={"type": "http"},
        fill="${{{variable}}}",
        own=add_copilot,
        then="Start copilot; /mcp show lists the server.",
    ),
    # docs.cline.bot, "Adding & configuring servers"; Cline CLI 3.0.65 itself. Its limit for a call is 60 s.
    Client(
        name="cline",
        title="Cline",
        servers="mcpServers",
        entry=usual_entry,
        home={"": "~/.cline/data/settings/cline_mcp_settings.json"},
        opens="MCP Servers > Configure > Configure MCP Servers",
        http={"type": "streamableHttp"},
        on_desktop=True,
        then="The list of MCP servers in Cline shows it.",
        notes=("The file in the home folder is that of Cline's command line; the extension has its own.",),
    ),
    # docs.continue.dev, "Model Context Protocol"; Continue CLI 1.5.47 itself. Its limit for a call is 60 s.
    Client(
        name="continue",
        title="Continue",
        servers="mcpServers",
        entry=continue_entry,
        format="yaml",
        home={"": "~/.continue/config.yaml"},
        fill="${{{{ secrets.{variable} }}}}",
        on_desktop=True,
        then="Reload Continue's configuration.",
        notes=("Continue reads secrets from ~/.continue/.env too.",),
    ),
    # goose, documentation/docs/guides/config-files.md.
    Client(
        name="goose",
        title="Goose",
        servers="extensions",
        entry=goose_entry,
        format="yaml",
        home={"": "~/.config/goose/config.yaml", "win32": "%APPDATA%/Block/goose/config/config.yaml"},
        fill="${variable}",
        then="Start a new session.",
    ),
    # lmstudio.ai/docs/app/mcp: Cursor's notation.
    Client(
        name="lm-studio",
        title="LM Studio",
        servers="mcpServers",
        entry=usual_entry,
        home={"": "~/.lmstudio/mcp.json"},
        opens="Program > Install > Edit mcp.json",
        on_desktop=True,
        then="Switch the server on in the Program tab.",
    ),
    # What most clients read; modelcontextprotocol.io describes no form of a file.
    Client(
        name="other",
        title="Any other client",
        servers="mcpServers",
        entry=usual_entry,
        opens="your client",
        then="Your client's documentation says where its MCP servers are configured. Many take this form as it is; "
        "others ask for the command, its arguments and the environment one by one.",
    ),
)
"""Every client, in the order in which they are listed."""

BY_NAME = {client.name: client for client in CLIENTS}
