"""Keep an AWS Batch estate exactly as declared in YAML."""

__version__ = "0.2.0"
