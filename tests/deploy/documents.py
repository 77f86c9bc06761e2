"""Reads the documents of YAML files, holds them to a schema, and prints them as JSON, which tests read further.

    documents.py FILE..                       no schema
    documents.py --kubernetes FILE..          each to the schema of its kind, strictly: unknown fields are errors
    documents.py --schema SCHEMA.json FILE..  each to that one

What has no schema (kinds of operators) is named on standard error. Exit 1 with a line for each mistake.
"""

import json
import sys

import jsonschema
import kubernetes_validate
import yaml


def kubernetes(document):
    try:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        print(f"no schema: {document['apiVersion']} {document['kind']}", file=sys.stderr)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(str(part) for part in error.path)
        return [f"{document['kind']} {document['metadata']['name']}: {place}: {error.message}"]
    return []


def by_schema(path):
    with open(path) as file:
        validator = jsonschema.Draft7Validator(json.load(file))

    def check(document):
        errors = validator.iter_errors(document)
        return [f"{'.'.join(str(part) for part in error.path)}: {error.message}" for error in errors]

    return check


def main(arguments):
    check = lambda document: []
    if arguments[0] == "--kubernetes":
        check, arguments = kubernetes, arguments[1:]
    elif arguments[0] == "--schema":
        check, arguments = by_schema(arguments[1]), arguments[2:]
    documents, mistakes = [], []
    for path in arguments:
        with open(path) as file:
            for document in yaml.safe_load_all(file):
                if document is not None:
                    documents.append(document)
                    mistakes += [f"{path}: {mistake}" for mistake in check(document)]
    print(json.dumps(documents, default=str))
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return 1 if mistakes else 0


sys.exit(main(sys.argv[1:]))
