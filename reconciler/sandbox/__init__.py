"""An AWS account on this machine: our own AWS Batch, moto with its gaps closed around it, and a clock that can run fast.

``server.Sandbox`` is the account; ``process`` runs one in the background. Needs moto: `pip install batch-reconcile[sandbox]`.
"""
