"""Why jobs do not start or fail, queues are blocked and environments are INVALID: for `reconcile why`."""
