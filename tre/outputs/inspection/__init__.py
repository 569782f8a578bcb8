"""What runs inside the checking sandbox: reads files that a hostile author may have made, says what they are.

Uses the standard library, Pillow and the specification of output_checks only, imports nothing of tre, and is started
with nothing but the bytes. Its
answer is data for `tre.outputs.sandboxed`, which trusts none of it further than its shape.
"""
