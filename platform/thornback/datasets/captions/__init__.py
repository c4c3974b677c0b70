"""What is written beside each picture: a template, what somebody wrote, or what a model says it sees."""
