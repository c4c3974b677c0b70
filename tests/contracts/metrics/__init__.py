"""One suite over every implementation of the Recorder port."""
