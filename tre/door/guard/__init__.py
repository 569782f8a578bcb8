"""What JupyterHub takes for the single-user server: signs the browser in and forwards what an allowlist admits."""
