"""Real processes killed at random moments, and what must be true afterwards.

`pytest -m '' -s tests/faults` runs the tests and shows their figures. The storm is a command of its own:

    python -m tests.faults.storm --jobs 200              kills and stops of every kind of process under mixed jobs
    python -m tests.faults.storm --postgres              and of the database
    python -m tests.faults.storm --jobs 50 --only train --stopped 0 --once raylet --kill worker --every 10
    python -m tests.faults.storm --jobs 50 --only train --quiet      the same jobs in peace, to compare how long

    test_database        PostgreSQL crashes and comes back; a disk is full and is emptied
    test_provider_down   a provider is away for an hour
    test_removed_data    a provider has forgotten what it was sent
    test_clock           clocks jump
    test_network_cut     a cable between two hosts is pulled: who was given up writes nothing when it is back
    test_zombies         200 runs that were given up speak on
    test_transitions     eight writers race: 10,000 transitions, none illegal, one end for each job
    test_storage         S3 fails at a fifth of the requests; an upload is killed in the middle
    test_history         what the checker of the storm finds
"""
