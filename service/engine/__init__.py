"""One run, page by page: detect, decide, apply, write down."""
