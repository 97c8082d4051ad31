"""One server for a team, over streamable HTTP: the ASGI app, authentication, limits and tenants."""
