"""An AWS account on this machine: our own AWS Batch, moto with corrections for the services around it, a fast clock.

``server.Sandbox`` is the account; ``process`` runs one in the background. Needs moto, which is installed by ``pip
install batch-reconcile[sandbox]``.
"""
