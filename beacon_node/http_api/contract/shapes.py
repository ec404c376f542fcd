"""Writes what answers have to have, out of the description, for the test that needs no network: python shapes.py > shapes.json

An object is an object, a list is a list of one, and the rest is the name of a JSON type. Only what is required is there.
"""

import json
import os
import sys

from description import Description
from table import rows

JSON = "application/json"


def shape(description, schema):
    schema = description.resolved(schema)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            parts = [shape(description, each) for each in schema[key]]
            if key != "allOf" or not all(isinstance(part, dict) for part in parts):
                return parts[0]
            return {name: value for part in parts for name, value in part.items()}
    properties = schema.get("properties")
    if properties:
        required = schema.get("required", [])
        return {name: shape(description, properties[name]) for name in required if name in properties}
    if schema.get("type") == "array":
        return [shape(description, schema["items"])]
    return schema.get("type", "string" if "enum" in schema else "object")


def main():
    description = Description(os.environ["BEACON_API_SPEC"])
    table = rows()
    shapes = {}
    for method, path, operation in description.operations():
        if method != "GET" or table[method, path][0] != "conforms":
            continue
        content = (description.response(operation, 200) or {}).get("content", {})
        if JSON in content:
            shapes[path] = shape(description, description.of_fork(content[JSON]["schema"], "fulu"))
    json.dump(shapes, sys.stdout, separators=(",", ":"), sort_keys=True)
    print()


if __name__ == "__main__":
    main()
