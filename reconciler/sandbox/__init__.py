"""An AWS account on this machine: AWS Batch of our own, moto with its gaps closed around it, a clock that can run fast.

``server.Sandbox`` is the account; ``process`` runs one in the background. Needs moto, which comes with
``pip install batch-reconcile[sandbox]``.
"""
