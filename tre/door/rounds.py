"""Which of the Hub's sessions still count.

The platform numbers a person's rounds: each time everything that is signed in as them is ended, a new one begins
(`tre.people.signin.end_sessions`). Decides when the Hub's own sessions belong to an earlier round, and ends them. The
round stands in what the Hub's cookies hold of a user, so that nothing needs to be remembered beside the Hub's database.
"""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.orm import new_token
from sqlalchemy.orm import object_session


def round_of(user: orm.User) -> int:
    """The round of the user's sessions; -1 where none was entered yet."""
    number, dash, _ = user.cookie_id.partition("-")
    return int(number) if dash and number.isdecimal() else -1


def enter(user: orm.User, round: int) -> bool:
    """Whether the user's sessions are of this round; where they are not, cookies and browsers' tokens end here, and the
    codes for which a token was still to come.
    """
    beginning = f"{round}-"
    if user.cookie_id.startswith(beginning):
        return True
    user.cookie_id = beginning + new_token()
    session = object_session(user)
    assert session is not None, "the Hub's own users belong to its session"
    for token in list(user.api_tokens):
        # Those of browsers; a workspace's server has one of its own and goes on.
        if token.session_id:
            session.delete(token)
    for code in list(user.oauth_codes):
        session.delete(code)
    session.commit()
    return False
