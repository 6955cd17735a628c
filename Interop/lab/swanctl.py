"""What Debian's swanctl prints: the --raw form as a tree, the text form line by line."""

import re

from .processes import Failure


def parse_raw(text):
    """The messages of a `swanctl --raw` output: a list of (event or reply name, tree)."""
    messages = []
    for line in text.splitlines():
        head = re.match(r"(\S+) (event|reply) \{", line)
        if head:
            tree, _ = _section(line, head.end())
            messages.append((head.group(1), tree))
    return messages


def _section(text, position):
    tree = {}
    while True:
        position = _skip(text, position)
        if position >= len(text):
            raise Failure(f"unbalanced raw output: {text[:120]}")
        if text[position] == "}":
            return tree, position + 1
        head = re.compile(r"([^\s{}=]+)( \{|=)").match(text, position)
        if head is None:
            raise Failure(f"raw output cannot be read at: {text[position:position + 60]}")
        name, kind = head.group(1), head.group(2)
        position = head.end()
        if kind == " {":
            tree[name], position = _section(text, position)
        elif text.startswith("[", position):
            end = text.index("]", position)
            tree[name] = text[position + 1:end].split()
            position = end + 1
        else:
            # A value ends where the next key, section or the end of this section begins.
            value = re.compile(r"(.*?)(?= [^\s{}=]+(?:=| \{)|\s*\})").match(text, position)
            if value is None:
                raise Failure(f"raw output has no end of value at: {text[position:position + 60]}")
            tree[name] = value.group(1)
            position = value.end()


def _skip(text, position):
    while position < len(text) and text[position] == " ":
        position += 1
    return position


def security_associations(raw):
    """The IKE SAs of `--list-sas --raw`: (connection name, facts) in the daemon's order."""
    found = []
    for name, tree in parse_raw(raw):
        if name == "list-sa":
            found += list(tree.items())
    return found


_STATES = "CREATED|CONNECTING|ESTABLISHED|PASSIVE|REKEYING|REKEYED|DELETING|DESTROYING"
_CHILD_STATES = "CREATED|ROUTED|INSTALLING|INSTALLED|UPDATING|REKEYING|REKEYED|RETRYING|DELETING|DELETED|DESTROYING"
_ALGORITHMS = r"[A-Z0-9_]+(?:-\d+)?(?:/[A-Z0-9_]+(?:-\d+)?)*"

#: The lines of `--list-sas`, in the words of its readers' scripts. Each gives a kind and the part that must agree.
LINES = [
    ("ike", re.compile(rf"(\S+): #\d+, (?:{_STATES}), IKEv2, [0-9a-f]{{16}}_i\*? [0-9a-f]{{16}}_r\*?$")),
    ("local", re.compile(r"  local  '[^']+' @ [0-9a-f.:]+\[\d+\](?: \[[^\]]*\])?$")),
    ("remote", re.compile(r"  remote '[^']+' @ [0-9a-f.:]+\[\d+\](?: \[[^\]]*\])?$")),
    ("tasks", re.compile(r"  (?:queued|active|passive): ")),
    ("ike-times", re.compile(r"  established \d+s ago(?:, (?:rekeying|reauth|expires) in -?\d+s)+$")),
    ("child", re.compile(
        rf"  (\S+): #\d+, reqid \d+, (?:{_CHILD_STATES}), TUNNEL(?:-in-UDP)?, ESP:{_ALGORITHMS}$")),
    ("child-times", re.compile(r"    installed \d+s ago, rekeying in \d+s, expires in \d+s$")),
    ("in", re.compile(r"    in  [0-9a-f]{8}, +\d+ bytes, +\d+ packets(?:, +\d+s ago)?$")),
    ("out", re.compile(r"    out [0-9a-f]{8}, +\d+ bytes, +\d+ packets(?:, +\d+s ago)?$")),
    ("local-ts", re.compile(r"    local  \S+(?: \S+)*$")),
    ("remote-ts", re.compile(r"    remote \S+(?: \S+)*$")),
    ("ike-algorithms", re.compile(rf"  ({_ALGORITHMS})$")),
]


def shape(text):
    """The kinds of the lines of a `--list-sas` text; a line that strongSwan would not print is a failure."""
    kinds = []
    for line in text.splitlines():
        kind = next((kind for kind, pattern in LINES if pattern.match(line)), None)
        if kind is None:
            raise Failure(f"list-sas has a line of no known shape: {line!r}")
        if kind != "tasks":  # Only there while an exchange is under way.
            kinds.append(kind)
    return kinds


def line_of(text, kind):
    """The first line of that kind, its spaces trimmed."""
    pattern = dict(LINES)[kind]
    found = next((line for line in text.splitlines() if pattern.match(line)), None)
    if found is None:
        raise Failure(f"list-sas has no {kind} line")
    return found.strip()
