"""What tests share: an upstream, records, a tokenizer."""
