"""The OpenAPI description of the Beacon API, out of a checkout of ethereum/beacon-APIs or a bundle in one file."""

import functools
import json
import re
from pathlib import Path

import jsonschema
import yaml

FORKS = ["phase0", "altair", "bellatrix", "capella", "deneb", "electra", "fulu", "gloas"]
METHODS = ["get", "post", "put", "delete"]
# Where the files of a checkout are kept in the one document that is made of them.
FILES = "x-files"


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Roots and numbers stay the text that they are."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def leaves(errors):
    """Of an error about alternatives what is wrong with each of them."""
    for error in errors:
        if error.context:
            yield from leaves(error.context)
        else:
            yield error


def escape(text):
    return text.replace("~", "~0").replace("/", "~1")


class Description:
    """All of it as one JSON document."""

    def __init__(self, location, sizes=None):
        """`sizes`: lengths of lists in the description, which are those of mainnet, and what they are in this network."""
        self.sizes = sizes or {}
        location = Path(location).resolve()
        self.main = location / "beacon-node-oapi.yaml" if location.is_dir() else location
        self.root = self.main.parent
        self.document = {}
        self.document[FILES] = {}
        self.document.update(self._bundled(self.main))
        self.version = self.document["info"]["version"]
        for path, item in self.document["paths"].items():
            self.document["paths"][path] = self.resolved(item)

    def _bundled(self, file):
        content = yaml.load(file.read_text(), Loader)
        return self._rewritten(content, file)

    def _rewritten(self, node, file):
        if isinstance(node, list):
            return [self._rewritten(each, file) for each in node]
        if not isinstance(node, dict):
            return node
        node = {key: self._rewritten(value, file) for key, value in node.items() if key != "example"}
        for key in ("minItems", "maxItems"):
            if node.get(key) in self.sizes:
                node[key] = self.sizes[node[key]]
        reference = node.get("$ref")
        if isinstance(reference, str):
            name, _, pointer = reference.partition("#")
            target = (file.parent / name).resolve() if name else file
            # Whatever stands beside a reference in these files describes it again: names of parameters, examples.
            node["$ref"] = self._pointer(target, pointer)
        return node

    def _pointer(self, target, pointer):
        if target == self.main:
            return f"#{pointer}"
        name = str(target.relative_to(self.root))
        if name not in self.document[FILES]:
            self.document[FILES][name] = None
            self.document[FILES][name] = self._bundled(target)
        return f"#/{FILES}/{escape(name)}{pointer}"

    def at(self, reference):
        node = self.document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def resolved(self, node):
        while isinstance(node, dict) and "$ref" in node:
            node = self.at(node["$ref"])
        return node

    def operations(self):
        """Method and path, with what is said of them."""
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method.upper(), path, item[method]

    def parameters(self, operation):
        """Name, place and the rest of each parameter."""
        for parameter in operation.get("parameters", []):
            yield {**self.resolved(parameter), **{key: parameter[key] for key in ("name", "in") if key in parameter}}

    def response(self, operation, status):
        found = operation["responses"].get(str(status))
        return None if found is None else self.resolved(found)

    @functools.lru_cache(maxsize=None)
    def _validator(self, text):
        schema = {**json.loads(text), "components": self.document["components"], FILES: self.document[FILES]}
        return jsonschema.Draft202012Validator(schema)

    def errors(self, schema, value, version=None):
        """What of a value is not as the schema says, with the places."""
        schema = self.of_fork(schema, version) if version else schema
        found = self._validator(json.dumps(schema, sort_keys=True)).iter_errors(value)
        return [f"{error.json_path}: {error.message[:200]}" for error in leaves(found)]

    def of_fork(self, node, version):
        """Of alternatives with a fork's name, only the one of the fork in force: fields are only added, so that an old
        one would match, too."""
        if isinstance(node, list):
            return [self.of_fork(each, version) for each in node]
        if not isinstance(node, dict):
            return node
        node = {key: self.of_fork(value, version) for key, value in node.items()}
        alternatives = node.get("anyOf")
        if alternatives and len(alternatives) > 1:
            newest = self._newest(alternatives, version)
            if newest is not None:
                node["anyOf"] = [newest]
        return node

    @staticmethod
    def _newest(alternatives, version):
        def age(alternative):
            found = re.search(r"schemas/(\w+)\.", json.dumps(alternative))
            name = found[1].lower() if found else None
            return FORKS.index(name) if name in FORKS else -1

        known = [each for each in alternatives if 0 <= age(each) <= FORKS.index(version)]
        return max(known, key=age) if known else None
