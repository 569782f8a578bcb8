"""Evidence: a hash-chained record of every change and every refusal, its signed head, and its verification."""

from tre.audit.actor import SYSTEM, Actor
from tre.audit.work import UseCase, use_case

__all__ = ["SYSTEM", "Actor", "UseCase", "use_case"]
