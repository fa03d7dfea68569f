"""The page that people look at, and the API behind it: the record over HTTP."""
