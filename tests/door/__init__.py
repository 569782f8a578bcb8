"""The door on real parts: JupyterHub, Traefik, the guard, the intake, a bare Jupyter server, Chromium."""
