"""Tool results: what calls return to a model, in words and in fields, within the token budget."""
