"""The benchmarks: over stdio (chat.py) and of the HTTP server under load (load.py). `make bench` runs both."""
