"""`octave-mcp demo`: the real server as a subprocess, the SDK's real client, and what each side sees.

No key, no network: the server runs with its sandbox.
"""

import json
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent

from octave_mcp.octave.models import GenerateRequest
from octave_mcp.sandbox import raw_answer
from octave_mcp.text import tokens

__all__ = ["run_demo"]

_CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "from a text",
        {
            "personas": [
                {
                    "sources": [
                        {
                            "type": "TEXT",
                            "value": "Our best conversations are with a CISO at a regional bank. Every quarter the "
                            "auditors ask for evidence of access reviews, and her team spends three weeks collecting "
                            "screenshots. She worries about vendor risk and about alerts that nobody has time to read.",
                        }
                    ]
                }
            ]
        },
    ),
    (
        "from a page's address",
        {"personas": [{"sources": [{"type": "URL", "value": "https://example.com/customers/hospital-it-operations"}]}]},
    ),
    (
        "linked to an offering, in a brand voice",
        {
            "personas": [
                {
                    "name": "Procurement Lead",
                    "sources": [
                        {
                            "type": "TEXT",
                            "value": "Procurement leads at manufacturers compare five vendors, want one contract, and "
                            "are measured on savings. They distrust usage-based pricing.",
                        }
                    ],
                }
            ],
            "primaryOfferingOId": "",
            "linkingStrategy": {"mode": "SPECIFIC", "offeringOIds": [""]},
            "brandVoiceOId": "",
        },
    ),
)
