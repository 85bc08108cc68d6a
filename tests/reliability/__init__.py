"""That nothing is lost: proofs with real processes on real databases. `make soak` runs them in full size.

Each is small enough for `make test` by default; `sizes.py` says how large it is otherwise, `docs/reliability.md` what
came of the last full run.
"""
