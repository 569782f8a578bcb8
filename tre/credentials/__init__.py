"""What the platform and a workspace may hold: passwords, keys, leases from the secrets server, renewed and revoked."""
