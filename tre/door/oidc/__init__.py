"""Signing in at the Hub through the institution's identity provider (OpenID Connect Core 1.0)."""
