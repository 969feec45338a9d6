"""Random templates, and what transformers' template engine makes of them.

Peers: transformers 5.23.0 with jinja2 3.1.6. Writes random_snippets.jsonl: {"template", "text" or "error"}, over the
variables of chat_template.py.

    python tests/golden/chat_template_random.py                                  # the sample in the tree
    python tests/golden/chat_template_random.py --count 100000 --out /some/dir   # a large corpus

The large corpus is compared by `TANREN_TEMPLATE_CORPUS=/some/dir chat_template_test --gtest_filter='*Random*'`. Templates
are made by type, so that most of them are right; where a value of any type is asked for, some are not. Left out: strings
that are marked safe, of which snippets.txt has some.
"""

import argparse
import copy
import json
import pathlib
import random

from transformers.utils import chat_template_utils

from chat_template import FOLDER, SNIPPET_VARIABLES, FixedNow

WORDS = ["a", "Hello", "x y", " pad ", "", "é", "東京", "it's", 'say \\"hi\\"', "a\\nb", "tab\\t", "<b>&", "12", "-3.5", "{{", "%}"]
# By type: an expression with other expressions in it, <type> or <type:short>.
RULES = {
    "str": ["text", "japanese", "markup", "'WORD'", '"WORD"', "<str> ~ <any>", "<str> + <str>", "<str> * <small>",
            "<str>|upper", "<str>|lower", "<str>|title", "<str>|capitalize", "<str>|trim", "<str>|trim('WORD')",
            "<str>|replace('WORD', 'WORD')", "<str>|indent(<small>)", "<str>|indent(2, true)", "<any>|string", "<any>|tojson",
            "<list>|tojson(indent=<small>)", "<str>|reverse", "<str>|default('WORD')", "<list>|join", "<list>|join('WORD')",
            "<str>.strip()", "<str>.strip('WORD')", "<str>.lstrip()", "<str>.rstrip('WORD')", "<str>.upper()", "<str>.title()",
            "<str>.replace('WORD', 'WORD')", "<str>.removeprefix('WORD')", "<str>.removesuffix('WORD')", "<str>.capitalize()",
            "<str>[<small>:]", "<str>[:<small>]", "<str>[::-1]", "<str>[-<small>:]", "<str>[<small>]", "<str>.split()[0]",
            "<str>.split('WORD')[-1]", "<str> if <bool> else <str>", "'%s|%d' % (<any>, <int>)", "'%s'|format(<any>)",
            "people[<small>].name", "<list>|first", "<list>|last", "(<str>)", "'WORD' 'WORD'", "table['C']", "<any>|string|trim",
            "<str>|first", "<str>.join(['a', 'b'])"],
    "int": ["<small>", "0", "7", "123", "-4", "<int> + <int>", "<int> - <int>", "<int> * <small>", "<int> // <small>", "<int> % 7",
            "<small> ** <small>", "-(<int>)", "<list>|length", "<str>|length", "<list>|sum", "<num>|int", "<str>|int", "<int>|abs",
            "<str>.count('WORD')", "<str>.find('WORD')", "numbers|max", "numbers|min", "people[0].age", "table.b",
            "people|sum(attribute='age')", "<int> if <bool> else <int>", "(<int>)", "<bool>|int", "<str>|int(<int>)", "<list>.index(1)",
            "people|map(attribute='age')|max", "people|map(attribute='city.zip')|sum", "<dict>|length"],
    "small": ["0", "1", "2", "3"],
    "num": ["<int>", "half", "1.5", "2.0", "-0.25", "1e3", "<int> / 4", "<num> * <num>", "<num> + <num>", "<num>|round", "<num>|round(1)",
            "<str>|float", "<num>|abs", "<num> // 2", "<num> % 2", "<num>|round(<small>, 'ceil')", "<int>|float"],
    "bool": ["true", "false", "yes", "<int> < <int>", "<num> >= <int>", "<any> == <any>", "<str> == <str>", "<str> != <str>",
             "<str> in <str>", "<int> in numbers", "<str> not in <list>", "'b' in table", "not <bool>", "<bool> and <bool>",
             "<bool> or <bool>", "<any> is defined", "<any> is none", "<any> is string", "<any> is number", "<any> is mapping",
             "<any> is iterable", "<any> is sequence", "<int> is even", "<int> is not odd", "<int> is divisibleby(3)", "missing is defined",
             "<str>.startswith('WORD')", "<str>.endswith('WORD')", "<any> is boolean", "<num> is float", "<int> is integer", "(<bool>)",
             "<int> < <int> < <int>", "<str> is upper", "<any> is true", "<any> is false", "<str> < <str>", "<any> is sameas none",
             "<int> is eq(<int>)", "<int> is gt <small>", "<str>.isdigit()", "<str>.isalpha()", "<any> is undefined", "<any> is callable"],
    "list": ["numbers", "[<any>]", "[<any>, <any>]", "[<int>, <int>, <int>]", "[<str>, <str>]", "[]", "(<any>, <any>)", "<list> + <list>",
             "<list>[<small>:]", "<list>[:<small>]", "<list>[::-1]", "<list>[::2]", "<list>|reverse|list", "numbers|sort",
             "numbers|sort(reverse=true)", "[<str>, <str>, <str>]|sort", "[<int>, <int>, <int>]|unique|list", "range(<small>)|list",
             "range(<small>, 7, 2)|list", "<str>.split()", "<str>.split('WORD')", "<str>.split(' ', 1)", "<str>|list",
             "<str>.splitlines()", "people|map(attribute='name')|list", "people|selectattr('age', 'gt', <int>)|list",
             "people|rejectattr('city.zip', 'equalto', <small>)|map(attribute='name')|list", "<list>|map('string')|list",
             "[<str>, <str>]|map('upper')|list", "<list>|select|list", "numbers|select('odd')|list", "<list>|reject('none')|list",
             "table|list", "<dict>.keys()|list", "<dict>.values()|list", "<dict>.items()|list", "<dict>|items|list", "<dict>|dictsort",
             "people|sort(attribute='name')|map(attribute='name')|list", "people|map(attribute='age', default=0)|unique|list", "(<list>)",
             "<list> if <bool> else <list>", "<list> * <small>", "<str>.partition('WORD')", "<str>.rsplit('WORD', 1)"],
    "dict": ["table", "people[<small>]", "{}", "{'a': <any>}", "{'k': <any>, 'a b': <any>}", "{<int>: <any>}", "dict(x=<any>)", "table.a",
             "{'n': {'m': <any>}}", "people|first"],
    "any": ["<str>", "<str>", "<int>", "<num>", "<bool>", "<list>", "<dict>", "nothing", "missing", "none", "<dict>.a", "<dict>['a']",
            "<list>[0]", "<dict>.get('a')", "<dict>.get('q', <any>)", "<any>|default(<any>)", "<any>|default(<any>, true)",
            "<any> or <any>", "<any> and <any>", "<any> if <bool>", "<list>|first", "v", "ns.x"],
}
FALLBACK = {"str": "'s'", "int": "5", "num": "2.5", "bool": "yes", "list": "numbers", "dict": "table", "any": "text", "small": "1"}


class Maker:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.in_loop = 0

    def expression(self, kind, depth):
        if self.rng.random() < 0.01:  # of a wrong type
            kind = self.rng.choice(list(RULES))
        if depth <= 0:
            return FALLBACK[kind]
        if self.in_loop and self.rng.random() < 0.15:
            kind_of_loop = {"int": ["loop.index", "loop.index0", "loop.revindex", "loop.length"], "bool": ["loop.first", "loop.last"],
                            "any": ["item", "loop.previtem", "loop.nextitem", "item.name", "loop.cycle('p', 'q')"]}
            if kind in kind_of_loop:
                return self.rng.choice(kind_of_loop[kind])
        text = self.rng.choice(RULES[kind])
        for inner in RULES:
            while (at := text.find(f"<{inner}>")) >= 0:
                made, rest = self.expression(inner, depth - 1), text[at + len(inner) + 2 :]
                if rest[:1] in (".", "[") and not made.isalpha():
                    made = f"({made})"
                text = text[:at] + made + rest
        while "WORD" in text:
            text = text.replace("WORD", self.rng.choice([w for w in WORDS if "'" not in w and '"' not in w]), 1)
        return text

    def tag(self, text):
        left, right = self.rng.choice(["", "", "", "-", "-", "+"]), self.rng.choice(["", "", "", "-", "-"])
        return f"{{%{left} {text} {right}%}}"

    def literal(self):
        return self.rng.choice(["", " ", "\n", "\n\n", "  \n", "\n  ", "\t", "x", "a b", " é\n", "東\n 京", "|", "<|x|>\n", "}", "\r\n", "# "])

    def piece(self, depth):
        rng, inner = self.rng, lambda: self.body(depth - 1)
        make = lambda kind: self.expression(kind, rng.choice([1, 2, 2, 3]))
        choice = rng.randrange(20) if depth > 0 else rng.randrange(8)
        if choice < 6:
            left, right = rng.choice(["", "", "-"]), rng.choice(["", "", "-"])
            return f"{{{{{left} {make(rng.choice(['any', 'str', 'int', 'bool', 'list', 'num']))} {right}}}}}"
        if choice == 6:
            return self.tag(f"set {rng.choice(['v', 'v', 'ns.x', 'w'])} = {make('any')}")
        if choice == 7:
            return rng.choice(["{# c #}", "{#- c -#}", "{% raw %}{{ r }}{% endraw %}", "{%- raw -%} {% r %} {%- endraw -%}"])
        if choice < 11:
            otherwise = rng.choice(["", self.tag("else") + inner(), self.tag(f"elif {make('bool')}") + inner()])
            return self.tag(f"if {make('bool')}") + inner() + otherwise + self.tag("endif")
        if choice < 15:
            names, source = rng.choice([("item", "list"), ("item", "list"), ("item", "str"), ("item", "dict"), ("key, item", "pairs")])
            source = f"{make('dict')}.items()" if source == "pairs" else make(source)
            condition = f" if {self.expression('bool', 1)}" if rng.random() < 0.2 else ""
            self.in_loop += 1
            body = inner()
            if rng.random() < 0.2:
                body += self.tag(f"if {make('bool')}") + self.tag(rng.choice(["break", "continue"])) + self.tag("endif") + inner()
            self.in_loop -= 1
            otherwise = self.tag("else") + inner() if rng.random() < 0.2 else ""
            return self.tag(f"for {names} in {source}{condition}") + body + otherwise + self.tag("endfor")
        loops, self.in_loop = self.in_loop, 0  # `loop` isn't seen inside these
        if choice < 17:
            body = inner()
            text = (self.tag(f"macro m(item, v={make('any')})") + body + self.tag("endmacro") +
                    f"{{{{ m({make('any')}) }}}}" + f"{{{{ m({make('str')}, v={make('any')})|trim }}}}")
        elif choice == 17:
            text = self.tag("set v") + inner() + self.tag("endset") + "[{{ v }}]"
        elif choice == 18:
            text = self.tag(f"with v = {make('any')}") + inner() + self.tag("endwith")
        else:
            text = self.tag(f"filter {rng.choice(['upper', 'trim', 'length', 'title', 'indent(3)'])}") + inner() + self.tag("endfilter")
        self.in_loop = loops
        return text

    def body(self, depth):
        return "".join(self.literal() + self.piece(depth) for _ in range(self.rng.choice([1, 1, 2, 3]))) + self.literal()


def row_of(template):
    row = {"template": template}
    try:
        # Copies: in Jinja, indent adds to a list that it is given before it fails.
        variables = copy.deepcopy(SNIPPET_VARIABLES)
        row["text"] = chat_template_utils._compile_jinja_template(template).render(**variables)
        row["text"].encode()
    except Exception as error:
        row.pop("text", None)
        row["error"] = f"{type(error).__name__}: {error}"[:200]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--first-seed", type=int, default=0, help="each template is made from a seed of its own")
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER)
    arguments = parser.parse_args()
    chat_template_utils.datetime = FixedNow
    # Python prints the addresses of some objects: such texts can't be compared.
    addresses = (" at 0x", "<jinja2.", "<bound method")
    errors = count = 0
    with (arguments.out / "random_snippets.jsonl").open("w", newline="\n") as file:
        for seed in range(arguments.first_seed, arguments.first_seed + 2 * arguments.count):
            maker = Maker(seed)
            start = "{% set ns = namespace(x=1) %}{% set v = 'v' %}"
            row = row_of(start + maker.body(maker.rng.choice([0, 1, 2, 3])))
            if any(sign in row.get("text", "") for sign in addresses) or len(row.get("text", "")) > 2000:
                continue
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            errors, count = errors + ("error" in row), count + 1
            if count == arguments.count:
                break
    print(f"{count} templates, {errors} of them errors")


if __name__ == "__main__":
    main()
