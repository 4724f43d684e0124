"""People's own expectations about an environment, checked without AWS: `reconcile test`."""
