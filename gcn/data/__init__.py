"""Images in, crops out: decoding, scanning, caching, and a stream of crops keyed by (seed, position)."""
