"""What Accord costs, beside a plain loop and a tuned one over the same data: docs/performance.md."""
