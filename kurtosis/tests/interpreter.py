"""Interprets Kurtosis packages without Kurtosis, with a `plan` that writes down what it is told.

What is not done: waiting, running containers, filling in templates, extracting from answers.
"""

import json
import re
from pathlib import Path

import starlark

PRELUDE = "prelude"
PRELUDE_SOURCE = Path(__file__).with_name("prelude.star").read_text()
PRELUDE_NAMES = re.findall(r"^([A-Z]\w+|json_functions) =", PRELUDE_SOURCE, re.MULTILINE)
# This Starlark knows `load` and no `import_module`: a file gives a struct of all its names, under this name.
EXPORTS = "exports_of_file"
IMPORT = re.compile(r'^(\w+)\s*=\s*import_module\(\s*"([^"]+)"\s*,?\s*\)', re.MULTILINE)
LONG_STRING = re.compile(r'"""(?:.|\n)*?"""')
TOP_LEVEL = re.compile(r"^(?:def\s+(\w+)|(\w+)\s*=[^=])", re.MULTILINE)


class Interpreter:
    """`packages` maps the name of each package to its directory; of one that is None, only `run` can be called."""

    def __init__(self, packages):
        self.packages = packages
        self.globals = starlark.Globals.extended_by(
            [starlark.LibraryExtension.StructType, starlark.LibraryExtension.Json]
        )
        self.modules = {}
        self.loader = starlark.FileLoader(self.load)

    def run(self, package, args):
        """What `run(plan, args)` tells the plan, in order: dictionaries with the name of the instruction as `do`."""
        driver = f"""
load("{package}/main.star", main="{EXPORTS}")
load("{PRELUDE}", "new_plan")
log = []
main.run(new_plan(log), json.decode({json.dumps(json.dumps(args))}))
json.encode(log)
"""
        return json.loads(self.evaluate("driver", driver, starlark.Module()))

    def evaluate(self, name, source, module):
        syntax = starlark.parse(name, source, starlark.Dialect.standard())
        return starlark.eval(module, syntax, self.globals, self.loader)

    def load(self, name):
        if name not in self.modules:
            module = starlark.Module()
            self.evaluate(name, self.source(name, module), module)
            self.modules[name] = module.freeze()
        return self.modules[name]

    def source(self, name, module):
        if name == PRELUDE:
            return PRELUDE_SOURCE
        package, path = self.find(name)
        if path is None:
            return f'load("{PRELUDE}", "stub_package")\n{EXPORTS} = stub_package("{package}")\n'
        module.add_callable("read_file", lambda locator: self.existing(locator, name)[1].read_text())
        module.add_callable("existing_file", lambda locator: self.existing(locator, name)[0])
        return self.translate(path.read_text(), name)

    def translate(self, source, name):
        exported = [first or second for first, second in TOP_LEVEL.findall(LONG_STRING.sub("", source))]
        source = IMPORT.sub(lambda found: f'load("{self.resolve(found[2], name)}", {found[1]}="{EXPORTS}")', source)
        source = re.sub(r"\bjson\.(encode|decode|indent)\b", r"json_functions.\1", source)
        # There is one plan for all files, and what a relative locator means depends on the file.
        source = re.sub(r"\bplan\.upload_files\(", "upload_files_of_here(plan, ", source)
        prelude = ", ".join(f'"{each}"' for each in PRELUDE_NAMES)
        fields = ", ".join(f"{each}={each}" for each in dict.fromkeys(exported))
        return f"""
load("{PRELUDE}", {prelude})
def upload_files_of_here(plan, src, **options):
    return plan.upload_files(existing_file(src), **options)
{source}
{EXPORTS} = struct({fields})
"""

    def find(self, name):
        for package, directory in self.packages.items():
            if name.startswith(package + "/"):
                return package, directory and directory / name.removeprefix(package + "/")
        raise FileNotFoundError(f"{name} is in none of {sorted(self.packages)}")

    def resolve(self, locator, name):
        locator = locator.split("@")[0]
        if locator.startswith("/"):
            return self.find(name)[0] + locator
        if not locator.startswith("."):
            return locator
        parts = name.split("/")[:-1]
        for part in locator.split("/"):
            if part == "..":
                parts.pop()
            elif part != ".":
                parts.append(part)
        return "/".join(parts)

    def existing(self, locator, name):
        if locator.startswith("https://"):
            return locator, None
        resolved = self.resolve(locator, name)
        path = self.find(resolved)[1]
        if path is None or not path.exists():
            raise FileNotFoundError(f"{name} refers to {locator}, which does not exist")
        return resolved, path
