"""Runs as work: submit, claim, supervise, record. The only place where engine and database meet."""
