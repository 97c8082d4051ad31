"""The load benchmark: the HTTP server beside what else there is. `make bench` runs it; no test does."""
