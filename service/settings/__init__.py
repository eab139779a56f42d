"""What the environment says, and the secrets of an installation."""
