"""Files of runs: where they live and how they are read and written."""
