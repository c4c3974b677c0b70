"""The official clients, unmodified, against the simulator."""
