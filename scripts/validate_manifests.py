"""validate_manifests.py - Kubernetes manifests against the API's own schemas, without a cluster and without the network.

    validate_manifests.py KUBERNETES_VERSION [CRD_FILE...] <manifests.yaml

Fields that the API doesn't know are errors, and so is a kind that has no schema: nothing passes unseen. Kinds of Kubernetes are
looked up in the package kubernetes-validate, all others in the CustomResourceDefinitions given.
"""

import copy
import sys

import jsonschema
import kubernetes_validate
import yaml


def strict(schema):
    """Closes every object that lists its properties, as an API server does that is asked for strict validation."""
    schema = copy.deepcopy(schema)
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, dict):
            todo.extend(node.values())
            if node.get("x-kubernetes-int-or-string"):
                node["type"] = ["integer", "string"]
            if isinstance(node.get("properties"), dict) and not node.get("x-kubernetes-preserve-unknown-fields"):
                node.setdefault("additionalProperties", False)
    return schema


def custom_kinds(files):
    """Schemas of (apiVersion, kind)."""
    schemas = {}
    for file in files:
        with open(file, encoding="utf-8") as text:
            spec = yaml.safe_load(text)["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # A CustomResourceDefinition leaves the metadata to the API server.
            schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
            schemas[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return schemas


def problems(manifest, version, custom):
    """What is wrong with a manifest, in sentences."""
    schema = custom.get((manifest["apiVersion"], manifest["kind"]))
    try:
        if schema is not None:
            jsonschema.Draft202012Validator(schema).validate(manifest)
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
    except jsonschema.ValidationError as error:
        yield f"{'.'.join(str(part) for part in error.path)}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message


def main(version, *crds):
    if version not in kubernetes_validate.utils.all_versions():
        sys.exit(f"no schemas of Kubernetes {version}; there are those up to {kubernetes_validate.utils.latest_version()}")
    custom, seen, wrong = custom_kinds(crds), set(), 0
    manifests = [manifest for manifest in yaml.safe_load_all(sys.stdin) if manifest]
    for manifest in manifests:
        name = (manifest["kind"], manifest["metadata"]["name"])
        found = list(problems(manifest, version, custom))
        if name in seen:
            found.append("is there twice")
        seen.add(name)
        for problem in found:
            print(f"{'/'.join(name)}: {problem}")
        wrong += len(found)
    if wrong or not manifests:
        sys.exit(f"{len(manifests)} manifests, {wrong} problems")
    print(f"{len(manifests)} manifests are valid for Kubernetes {version}")


if __name__ == "__main__":
    main(*sys.argv[1:])
