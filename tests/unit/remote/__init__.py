"""Jobs at providers: orders, following, webhooks, without Ray."""
