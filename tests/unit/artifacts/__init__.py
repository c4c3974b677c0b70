"""Files: fetching, unpacking, telling what they are."""
