"""What a site allows, whatever the cloud says: its policy, signatures, counts of runs."""
