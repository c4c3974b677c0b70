"""The dispatcher and its policy, without Ray."""
