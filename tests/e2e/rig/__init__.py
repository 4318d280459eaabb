"""The end-to-end test rig: recordings to play, peers to play them, and what they say.

Nothing here imports the service. Start everything with one command, as root:
`sh tests/e2e/rig/in_namespace.sh python -m pytest tests/e2e`.
"""
