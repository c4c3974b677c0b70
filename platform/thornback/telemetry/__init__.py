"""What the platform tells of itself: metrics for Prometheus, traces for OpenTelemetry. Neither is needed to run it."""
