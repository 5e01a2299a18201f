"""What the black-box suites share: a server as a process, an HTTP client that sees every byte."""
