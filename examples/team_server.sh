#!/bin/sh
# One server for a team: sh team_server.sh [PORT]
#
# Needs the command octave-personas-mcp. Serves made-up data unless OCTAVE_API_KEY or OCTAVE_API_KEY_FILE is set. It listens on
# this machine only; deploy/README.md says what to put in front of it, and how to run more than one.
set -eu

if ! command -v octave-personas-mcp >/dev/null; then
    echo "The command octave-personas-mcp was not found: install it first." >&2
    exit 1
fi

port=${1:-8000}
export OCTAVE_MCP_TOKENS_FILE="${OCTAVE_MCP_TOKENS_FILE:-tokens}"

# One token in each line, for each person or program that calls. Lines that are added or taken out count at once.
if [ ! -s "$OCTAVE_MCP_TOKENS_FILE" ]; then
    token=$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
    (umask 077 && echo "$token" >"$OCTAVE_MCP_TOKENS_FILE")
    echo "Made a token: $OCTAVE_MCP_TOKENS_FILE" >&2
fi

echo "Ready when http://127.0.0.1:$port/readyz answers 200. Then, with a token of $OCTAVE_MCP_TOKENS_FILE:" >&2
echo "PERSONAS_TOKEN=TOKEN python team_client.py http://127.0.0.1:$port/mcp notes/*.md" >&2

if [ -n "${OCTAVE_API_KEY:-}${OCTAVE_API_KEY_FILE:-}" ]; then
    exec octave-personas-mcp http --port "$port"
fi
exec octave-personas-mcp http --port "$port" --sandbox
