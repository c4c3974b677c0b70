"""Telling others what happened: webhooks, e-mail and Slack; what is told to whom, when again, and when no more."""
