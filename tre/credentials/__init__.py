"""What the platform and a workspace may hold: passwords, keys, leases from the secrets server, renewed and revoked."""

from tre.credentials.leases import Held, Lease
from tre.credentials.port import Secrets
from tre.credentials.projects import ProjectDatabase

__all__ = ["Held", "Lease", "ProjectDatabase", "Secrets"]
