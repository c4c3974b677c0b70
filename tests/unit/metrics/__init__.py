"""Unit tests of the recorder, the reporter and the capture of output: no Ray."""
