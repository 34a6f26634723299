"""From files to Radar: readers, decoding, archives."""
