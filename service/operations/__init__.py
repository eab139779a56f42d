"""What one can ask Accord for: one file per noun. The rims (API, CLI) call these and nothing below them."""
