"""What concerns jobs: how they are retried."""
