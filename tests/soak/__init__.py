"""The soak: its machinery, and its tests."""
