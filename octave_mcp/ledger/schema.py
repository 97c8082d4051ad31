"""The tables of the ledger, the same in every database."""

SCHEMA_VERSION = 3

SCHEMA = (
    """CREATE TABLE items (
        id TEXT PRIMARY KEY, tenant TEXT NOT NULL, fingerprint TEXT NOT NULL, name TEXT, name_key TEXT,
        state TEXT NOT NULL, owner TEXT NOT NULL, lease_until DOUBLE PRECISION NOT NULL,
        created_at DOUBLE PRECISION NOT NULL, sent_at DOUBLE PRECISION, settled_at DOUBLE PRECISION,
        name_free INTEGER, workspace TEXT, usage DOUBLE PRECISION, outcome TEXT, unreadable BYTEA
    )""",
    "CREATE INDEX items_by_fingerprint ON items (tenant, fingerprint)",
    "CREATE INDEX items_by_time ON items (tenant, created_at)",
    "CREATE INDEX items_by_name ON items (name_key)",
    "CREATE INDEX items_live ON items (lease_until) WHERE state IN ('queued', 'sent')",
    "CREATE INDEX items_settled ON items (settled_at)",
    "CREATE INDEX items_unreadable ON items (settled_at) WHERE unreadable IS NOT NULL",
    """CREATE TABLE generations (
        id TEXT PRIMARY KEY, tenant TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, given_up INTEGER NOT NULL
    )""",
    "CREATE INDEX generations_by_time ON generations (tenant, created_at)",
    """CREATE TABLE places (
        generation TEXT NOT NULL, place INTEGER NOT NULL, item TEXT NOT NULL, joined INTEGER NOT NULL,
        PRIMARY KEY (generation, place)
    )""",
    "CREATE INDEX places_by_item ON places (item)",
    "CREATE TABLE claims (oid TEXT PRIMARY KEY, item TEXT NOT NULL)",
    "CREATE INDEX claims_by_item ON claims (item)",
)
"""The tables of an empty ledger. An item's place is its position in a generation; a claim is a persona's owner."""
