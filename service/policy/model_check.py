"""`model.conf`, checked: what Casbin would load and then decide otherwise than written (DESIGN sections 4 and 12).

Pure. Reads the file as pycasbin's own parser does, keeping places, and holds that the two agree; then that every name is defined,
every function declared and given its number of arguments, no constant outside its vocabulary, and that a policy without rows
releases nothing. The matcher itself is the officer's: which functions it joins, and how, is not checked here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from casbin.config import Config
from casbin.model import Model
from casbin.util import util

from service.policy import functions
from service.policy.findings import Finding, nearest
from service.policy.matcher import PURE_BUILTINS, parse_matcher, uncompilable
from service.policy.rows import Effect
from service.policy.text import error, warning

FILE = "model.conf"
REQUEST_COLUMNS = (
    "partner",
    "action",
    "purpose",
    "level",
    "categories",
    "releasable_to",
    "display_to",
    "caveats",
    "originators",
    "consents",
    "grants",
)
POLICY_COLUMNS = (
    "id",
    "eft",
    "action",
    "grantee",
    "purpose",
    "level",
    "categories",
    "caveats",
    "originator",
    "from",
    "until",
    "basis",
)
EFFECT = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
SECTIONS = {
    "request_definition": ("r",),
    "policy_definition": ("p",),
    "role_definition": ("g", "g2"),
    "policy_effect": ("e",),
    "matchers": ("m",),
}
MATCHER_CHARACTERS_MAX = 65_536
MATCHER_DEPTH_MAX = 60
"""Brackets within brackets; the parser's own limit is 200, and its failure is not an error but a crash."""
MATCHER_NODES_MAX = 4_096

_AUDIENCES = ("r.releasable_to", "r.display_to")
_ACTIONS = ("r.action", "p.action")
_WHO = ("r.partner", "p.grantee")
_SUBJECTS = (("p.categories", "p.caveats"), ("r.categories", "r.caveats"))
_TAKES: dict[str, tuple[tuple[str, ...], ...]] = {
    "at_most": (("r.level", "p.level"), ("r.level", "p.level")),
    "at_least": (("r.level", "p.level"), ("r.level", "p.level")),
    "covers": _SUBJECTS,
    "touches": _SUBJECTS,
    "addressed": (_ACTIONS, _AUDIENCES, _AUDIENCES, _WHO),
    "consented": (("r.originators",), ("r.consents",), _WHO),
    "granted": (("r.grants",), _ACTIONS, _WHO),
    "only_from": (("p.originator",), ("r.originators",)),
    "issued_by": (("p.originator",), ("r.originators",)),
    "permits": (_ACTIONS, _ACTIONS),
    "forbids": (_ACTIONS, _ACTIONS),
    "for_purpose": (("p.purpose", "r.purpose"), ("r.purpose",)),
    "g": ((*_WHO, "p.originator"), (*_WHO, "p.originator")),
    "g2": (_WHO, ()),
}
"""The columns each argument can be. With another the function raises on every row, or is never true: nothing is released, and nobody says
why."""
_ORDERINGS: dict[type[ast.cmpop], str] = {ast.LtE: "<=", ast.GtE: ">=", ast.Lt: "<", ast.Gt: ">"}
_STATUSES = ("active", "suspended")

_NAMED_NOT_USED = frozenset({"id", "eft", "from", "until", "basis"})
_HIDDEN = re.compile(r"[#;](?:[^\s\[][^\[]*\]|[A-Za-z0-9]* = .*)")
"""What a `#` in the place of a line's first letter leaves of it."""
_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_PLAIN_CONSTANT = re.compile(r"[A-Za-z0-9*_ :-]*")
_COLUMN_USE = re.compile(r"\b([rp])\.([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(slots=True)
class _Value:
    """The value of a key, and for each stretch of it the place it was read from."""

    text: str = ""
    stretches: list[tuple[int, int, int]] = field(default_factory=list)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of a character of `text`."""
        line, column = 1, 1
        for begin, at_line, at_column in self.stretches:
            if begin > offset:
                break
            line, column = at_line, at_column + offset - begin
        return line, column


def check_model(lines: list[str], findings: list[Finding]) -> bool:
    """Add what is wrong with the model to `findings`; True if nothing is that refuses it."""
    before = len(findings)
    values = _read(lines, findings)
    if len(findings) > before:
        return False
    for section, keys in SECTIONS.items():
        for key in keys:
            if (section, key) not in values:
                findings.append(error(FILE, 1, 1, "missing-key", f"`{key}` of `[{section}]` is missing", f"`{key} = ...`"))
    if len(findings) > before:
        return False
    _check_columns("r", values["request_definition", "r"], REQUEST_COLUMNS, findings)
    _check_columns("p", values["policy_definition", "p"], POLICY_COLUMNS, findings)
    for key in ("g", "g2"):
        value = values["role_definition", key]
        if value.text != "_, _":
            findings.append(error(FILE, *value.place(0), "role-definition", f"`{key} = {value.text}`", f"`{key} = _, _`"))
    effect = values["policy_effect", "e"]
    if effect.text != EFFECT:
        findings.append(error(FILE, *effect.place(0), "effect", f"the effect is `{effect.text}`", f"`{EFFECT}`"))
    if len(findings) > before:
        return False
    return _check_matcher(values["matchers", "m"], "".join(f"{line}\n" for line in lines), findings)


def values_of(lines: list[str]) -> dict[tuple[str, str], str]:
    """What each key of each section says, whatever may be wrong with it."""
    return {key: value.text for key, value in _read(lines, []).items()}


def _read(lines: list[str], findings: list[Finding]) -> dict[tuple[str, str], _Value]:
    """Keys and values by section, as `casbin.config.Config` reads them."""
    values: dict[tuple[str, str], _Value] = {}
    seen: set[str] = set()
    section = ""
    pending: _Value | None = None

    def finish() -> None:
        nonlocal pending
        value, pending = pending, None
        if value is None:
            return
        line, column = value.place(0)
        key, separator, _ = value.text.partition("=")
        name = key.strip()
        if not separator:
            findings.append(error(FILE, line, column, "line", f"`{value.text[:40]}` is no section", "`key = value`"))
            return
        begin = len(key) + 1
        begin += len(value.text[begin:]) - len(value.text[begin:].lstrip())
        rest = _Value(value.text[begin:].rstrip(), [(max(0, at - begin), *value.place(max(at, begin))) for at, _, _ in value.stretches])
        rest.stretches = [s for i, s in enumerate(rest.stretches) if i + 1 == len(rest.stretches) or rest.stretches[i + 1][0] > s[0]]
        if section not in SECTIONS:
            return
        if name not in SECTIONS[section]:
            expected = " or ".join(f"`{k}`" for k in SECTIONS[section])
            findings.append(error(FILE, line, column, "unknown-key", f"unknown key `{name}`", expected, nearest(name, SECTIONS[section])))
            return
        if (section, name) in values:
            findings.append(error(FILE, line, column, "twice", f"`{name}` twice", "each key once"))
            return
        hash_at = rest.text.find("#")
        if hash_at >= 0:
            findings.append(error(FILE, *rest.place(hash_at), "comment", "a comment behind a value", "`#` in column 1"))
        values[section, name] = rest

    for number, raw in enumerate(lines, 1):
        text = raw.strip()
        column = len(raw) - len(raw.lstrip()) + 1
        if not text or text[0] in "#;":
            finish()
            if _HIDDEN.fullmatch(text):
                expected = "the line, or none; a blank after `#` if it is to be kept"
                findings.append(error(FILE, number, column, "comment", "a section or key behind `#`", expected))
        elif text[0] == "[" and text[-1] == "]":
            finish()
            section = text[1:-1]
            if section not in SECTIONS:
                problem = f"unknown section `[{section}]`"
                findings.append(error(FILE, number, column, "section", problem, "a section of Casbin's", nearest(section, SECTIONS)))
            elif section in seen:
                findings.append(error(FILE, number, column, "twice", f"`[{section}]` twice", "each section once"))
            seen.add(section)
        else:
            continued = text.endswith("\\")
            part = text[:-1].strip() + " " if continued else text
            pending = pending or _Value()
            pending.stretches.append((len(pending.text), number, column))
            pending.text += part
            if not continued:
                finish()
    finish()
    return values


def _check_columns(key: str, value: _Value, expected: tuple[str, ...], findings: list[Finding]) -> None:
    offset = 0
    names = value.text.split(",")
    for index, raw in enumerate(names):
        name = raw.strip()
        if index >= len(expected) or name != expected[index]:
            place = value.place(offset + len(raw) - len(raw.lstrip()))
            wanted = f"`{expected[index]}`" if index < len(expected) else "no further column"
            findings.append(error(FILE, *place, "columns", f"column {index + 1} of `{key}` is `{name}`", wanted))
            return
        offset += len(raw) + 1
    if len(names) < len(expected):
        findings.append(error(FILE, *value.place(len(value.text)), "columns", f"`{key}` ends early", f"`{expected[len(names)]}`"))


def _check_matcher(value: _Value, whole: str, findings: list[Finding]) -> bool:
    before = len(findings)

    def wrong(offset: int, code: str, problem: str, expected: str = "", suggestion: str = "") -> None:
        findings.append(error(FILE, *value.place(max(0, offset)), code, problem, expected, suggestion))

    text = value.text
    if len(text) > MATCHER_CHARACTERS_MAX:
        wrong(0, "too-large", f"a matcher of {len(text)} characters", f"at most {MATCHER_CHARACTERS_MAX}")
        return False
    bare = _STRING.sub(lambda found: '"' + "_" * (len(found.group()) - 2) + '"', text)
    for found in _STRING.finditer(text):
        constant = found.group()[1:-1]
        if not _PLAIN_CONSTANT.fullmatch(constant):
            # Casbin rewrites `&&`, `||`, `!`, `p.` and `r.` inside constants too.
            wrong(found.start(), "constant", f"the constant `{constant}` holds an operator", "letters, digits, space and `* _ : -`")
    for character in (";", "\\", "@", "`", "$", "{", "}"):
        if character in bare:
            wrong(bare.index(character), "character", f"`{character}` in the matcher", "an expression")
    depth = 0
    for offset, character in enumerate(bare):
        depth += (character in "([") - (character in ")]")
        if depth > MATCHER_DEPTH_MAX:
            wrong(offset, "nesting", f"more than {MATCHER_DEPTH_MAX} brackets deep", "a matcher that can be read")
            return False
    if re.search(r"(?:!|\bnot\b|-|\+|~)(?:\s*(?:!|\bnot\b|-|\+|~)){8}", bare):
        wrong(0, "nesting", "a long run of operators", "a matcher that can be read")
        return False
    columns = {"r": REQUEST_COLUMNS, "p": POLICY_COLUMNS}
    for found in _COLUMN_USE.finditer(bare):
        definition, name = found.groups()
        if name not in columns[definition]:
            problem = f"`{definition}.{name}` is not a column of `{definition}`"
            wrong(found.start(), "unknown-name", problem, "a column", nearest(name, columns[definition]).lower())
    if len(findings) > before:
        return False
    if util.has_eval(text):
        wrong(text.index("eval"), "eval", "`eval()` in the matcher", "conditions written here, not in rows")
        return False
    try:
        tree = parse_matcher(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        wrong(0, "matcher", f"not an expression: {problem}", "conditions joined by `&&`, `||`, `!`")
        return False
    nodes = list(ast.walk(tree))
    if len(nodes) > MATCHER_NODES_MAX:
        wrong(0, "too-large", f"a matcher of {len(nodes)} parts", f"at most {MATCHER_NODES_MAX}")
        return False
    if _depth(tree) > MATCHER_DEPTH_MAX:
        wrong(0, "nesting", f"more than {MATCHER_DEPTH_MAX} conditions deep", "a matcher that can be read")
        return False
    _check_names(nodes, bare, wrong)
    _check_arguments(nodes, bare, text, wrong)
    _check_conditions(tree, bare, wrong)
    _check_constants(nodes, text, wrong)
    if len(findings) > before:
        return False
    if not never_true_of_blank(tree):
        wrong(0, "blank-rows", "the matcher may be true for a row of empty cells, which Casbin takes for a policy without rows", "false")
        return False
    try:
        model = Model()
        model.load_model_from_text(whole)
        read = Config.new_config_from_text(whole)
    except Exception as problem:  # noqa: BLE001  whatever Casbin raises over a model is the reason to refuse it (house style: one rule's evaluation)
        wrong(0, "model", f"casbin refuses the model: {problem}")
        return False
    if read.get("matchers::m") != text or read.get("policy_effect::e") != EFFECT:
        wrong(0, "model", "casbin reads another matcher or effect out of this file", "one key to a line")
        return False
    reason = uncompilable(tree, roles=frozenset({"g", "g2"}))
    if reason is not None:
        # The reason quotes the construct as it is written.
        quoted = re.search(r"`([^`]+)`", reason)
        offset = 0 if quoted is None else max(0, text.find(quoted[1]))
        findings.append(warning(FILE, *value.place(offset), "runs-on-stock", f"the matcher runs on stock Casbin, slowly: {reason}"))
    used = {found.group(2) for found in _COLUMN_USE.finditer(bare) if found.group(1) == "p"}
    for name in POLICY_COLUMNS:
        if name not in used and name not in _NAMED_NOT_USED:
            findings.append(warning(FILE, *value.place(0), "column-unused", f"the matcher does not look at `p.{name}`"))
    return True


def _check_names(nodes: list[ast.AST], bare: str, wrong: Callable[..., None]) -> None:
    columns = {f"r_{name}" for name in REQUEST_COLUMNS} | {f"p_{name}" for name in POLICY_COLUMNS}
    callable_names = {*functions.DECLARED, *PURE_BUILTINS, "g", "g2"}
    called = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, ast.Name) and id(node) in called:
            arguments = called[id(node)].args
            place = _find(bare, node.id)
            if node.id == "timeMatch":
                wrong(place, "clock", "`timeMatch` reads the clock", "dates in `from` and `until`")
            elif node.id not in callable_names:
                wrong(place, "unknown-function", f"unknown function `{node.id}`", "a declared function", nearest(node.id, callable_names))
            else:
                declared = functions.DECLARED.get(node.id)
                wanted = len(declared.parameters) if declared else 2
                if len(arguments) != wanted or called[id(node)].keywords:
                    wrong(place, "arguments", f"`{node.id}` with {len(arguments)} arguments", f"{wanted}")
        elif isinstance(node, ast.Name) and node.id not in columns:
            wrong(_find(bare, node.id), "unknown-name", f"unknown name `{node.id}`", "a column, `r.NAME` or `p.NAME`")
        elif isinstance(node, ast.Constant) and not isinstance(node.value, str):
            wrong(_find(bare, str(node.value)), "constant", f"the constant `{node.value!r}`", "a string: every cell is one")
        elif isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
            wrong(0, "matcher", "a call of something else than a named function", "a declared function")
        elif isinstance(node, ast.Is | ast.IsNot):
            wrong(_find(bare, "is"), "matcher", "`is` compares objects, not what they say", "`==` or `!=`")
        elif isinstance(node, ast.Lambda | ast.NamedExpr | ast.Starred | ast.JoinedStr | ast.Await | ast.Yield | ast.ListComp | ast.Dict):
            wrong(0, "matcher", f"{type(node).__name__.lower()} in the matcher", "conditions joined by `&&`, `||`, `!`")


def _check_arguments(nodes: list[ast.AST], bare: str, text: str, wrong: Callable[..., None]) -> None:
    """Columns that a function cannot take, and statuses that there are not."""
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _TAKES]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    places = {name: [found.start() for found in re.finditer(rf"(?<![A-Za-z0-9_.]){name}\s*\(", bare)] for name in _TAKES}
    for call in calls:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        # As written and as parsed they stand in the same order.
        begin = places[name].pop(0) if places[name] else 0
        takes = _TAKES[name]
        if len(call.args) != len(takes):
            continue
        for argument, columns in zip(call.args, takes, strict=True):
            if isinstance(argument, ast.Name):
                column = _dotted(argument)
                place = max(begin, bare.find(column, begin))
                if column not in columns:
                    expected = " or ".join(f"`{known}`" for known in columns) or "`active` or `suspended`"
                    wrong(place, "argument", f"`{column}` where `{name}` takes something else", expected)
            elif isinstance(argument, ast.Constant) and not columns and argument.value not in _STATUSES:
                word = str(argument.value)
                place = max(begin, text.find(word, begin) - 1)
                wrong(place, "constant", f"`{word}` is not a partner's status", "`active` or `suspended`", nearest(word, _STATUSES))
        if name in ("covers", "touches"):
            kinds = {argument.id[2:] for argument in call.args if isinstance(argument, ast.Name)}
            if kinds == {"categories", "caveats"}:
                wrong(begin, "argument", f"`{name}` of categories and caveats", "two columns of one kind")


def _check_conditions(tree: ast.expr, bare: str, wrong: Callable[..., None]) -> None:
    """What `&&`, `||`, `!` join and is no condition, yet counts as true: a call that has lost its function's name, a word, a lone `&`."""
    waiting: list[ast.expr] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.BoolOp):
            waiting.extend(node.values)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            waiting.append(node.operand)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr | ast.BitXor):
            sign = "&" if isinstance(node.op, ast.BitAnd) else "|" if isinstance(node.op, ast.BitOr) else "^"
            found = re.search(rf"(?<!{re.escape(sign)}){re.escape(sign)}(?!{re.escape(sign)})", bare)
            wrong(found.start() if found else 0, "matcher", f"a lone `{sign}`", "conditions joined by `&&`, `||`, `!`")
        elif isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Constant):
            shown = re.sub(r"\b([rp])_", r"\1.", ast.unparse(node))
            wrong(
                _find_first_column(node, bare),
                "matcher",
                f"`{shown[:60]}` is no condition",
                "a comparison or a call of a declared function",
            )


def _find_first_column(node: ast.expr, bare: str) -> int:
    name = next((_dotted(part) for part in ast.walk(node) if isinstance(part, ast.Name)), "")
    found = re.search(rf"(?<![A-Za-z0-9_])\(\s*{re.escape(name)}\b", bare) if name else None
    return found.start() if found else 0


def _check_constants(nodes: list[ast.AST], text: str, wrong: Callable[..., None]) -> None:
    actions = frozenset(functions.PROHIBITED_ACTIONS)
    vocabularies = {
        "p_eft": frozenset(str(effect) for effect in Effect),
        "p_action": actions,
        "r_action": frozenset(functions.ACTIONS),
    }
    for node in nodes:
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        ordering = next((sign for kind, sign in _ORDERINGS.items() if any(isinstance(op, kind) for op in node.ops)), None)
        level = next((side for side in sides if isinstance(side, ast.Name) and side.id in ("r_level", "p_level")), None)
        if ordering and level is not None:
            place = max(0, text.find(_dotted(level)))
            wrong(place, "matcher", f"`{ordering}` compares letters, not levels", "`at_most` or `at_least`")
        for side in sides:
            known = vocabularies.get(side.id) if isinstance(side, ast.Name) else None
            if known is None:
                continue
            for other in sides:
                for part in ast.walk(other):
                    if isinstance(part, ast.Constant) and part.value not in known:
                        word = str(part.value)
                        problem = f"`{word}` compared with `{_dotted(side)}`"
                        expected = f"one of {', '.join(f'`{name}`' for name in sorted(known))}"
                        place = max(text.find(f'"{word}"'), text.find(f"'{word}'"))
                        wrong(place, "constant", problem, expected, nearest(word, known))


def _depth(tree: ast.expr) -> int:
    deepest, waiting = 0, [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting.extend((child, depth + 1) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
    return deepest


def _dotted(node: ast.expr) -> str:
    return ast.unparse(node).replace("_", ".", 1)


def _find(text: str, word: str) -> int:
    found = re.search(rf"(?<![A-Za-z0-9_.]){re.escape(word)}(?![A-Za-z0-9_])", text)
    return found.start() if found else 0


def never_true_of_blank(tree: ast.expr) -> bool:
    """Whether the matcher cannot be true where every cell of the row is empty, whatever is asked.

    Casbin evaluates a policy without rows so. What is false then: a cell compared with a constant, or belonging to a blank code.
    Declared functions raise on a blank cell, which refuses too.
    """
    return True not in _possible(tree)


_RAISES = None
_Truth = bool | None


def _possible(node: ast.expr) -> frozenset[_Truth]:
    """The values a condition can have on a blank row: True, False, None for raising."""
    if isinstance(node, ast.BoolOp):
        ends_at = isinstance(node.op, ast.Or)
        reached: frozenset[_Truth] = frozenset({not ends_at})
        settled: set[_Truth] = set()
        for value in node.values:
            if not reached:
                break
            found = _possible(value)
            settled |= found & {ends_at, _RAISES}
            reached = found & {not ends_at}
        return frozenset(settled) | reached
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return frozenset(_RAISES if value is _RAISES else not value for value in _possible(node.operand))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        blanks = sum(1 for argument in node.args if isinstance(argument, ast.Name) and argument.id.startswith("p_"))
        if blanks and node.func.id in functions.DECLARED:
            return frozenset({_RAISES})
        # Two blanks are the same name, and so linked.
        if blanks == 1 and node.func.id in ("g", "g2"):
            return frozenset({False})
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        values = [_blank_value(side) for side in (node.left, node.comparators[0])]
        if None not in values:
            match node.ops[0]:
                case ast.Eq():
                    return frozenset({values[0] == values[1]})
                case ast.NotEq():
                    return frozenset({values[0] != values[1]})
    return frozenset({True, False, _RAISES})


def _blank_value(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name) and node.id.startswith("p_"):
        return ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None
