"""An AWS account on this machine to plan and apply against."""
