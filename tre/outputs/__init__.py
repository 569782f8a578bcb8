"""Safe outputs: release requests, their checking, blind review, release as a signed crate, and recall."""
