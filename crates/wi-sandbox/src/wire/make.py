"""Writes schema.json, the methods of Google's APIs that the sandbox answers and the fields of what they take and answer.

From the discovery documents in google-api-python-client: `python3 make.py > schema.json`.
"""

import json
import os
import re

import googleapiclient

DOCUMENTS = os.path.join(os.path.dirname(googleapiclient.__file__), "discovery_cache", "documents")
POLICY = "getIamPolicy|setIamPolicy|testIamPermissions"
APIS = {
    "container.v1": [
        r"projects\.(locations|zones)\.clusters\.(list|get|create|update|delete|setResourceLabels|resourceLabels)",
        r"projects\.(locations|zones)\.clusters\.nodePools\.(list|get|create|delete|update|rollback|setManagement|setSize)",
        r"projects\.(locations|zones)\.clusters\.nodePools\.(autoscaling|setAutoscaling|completeUpgrade)",
        r"projects\.(locations|zones)\.operations\.(list|get|cancel)",
        r"projects\.(locations|zones)\.getServer[cC]onfig",
        r"projects\.aggregated\.usableSubnetworks\.list",
    ],
    "gkehub.v1": [r"projects\.locations\.memberships\.(list|get|create|patch|delete)", r"projects\.locations\.operations\.get"],
    "iam.v1": [
        rf"projects\.serviceAccounts\.(list|get|create|update|patch|delete|undelete|enable|disable|{POLICY})",
        r"projects\.serviceAccounts\.keys\.(list|get|delete|disable|enable)",
        r"projects\.locations\.workloadIdentityPools\.get",
        r"(projects\.|organizations\.|)roles\.(get|list)",
    ],
    "iam.v2": [r"policies\.(listPolicies|get)"],
    "iamcredentials.v1": [r"projects\.serviceAccounts\.generateAccessToken"],
    "sts.v1": [r"token"],
    "cloudasset.v1": [r"searchAllIamPolicies"],
    "logging.v2": [r"entries\.list"],
    "monitoring.v3": [r"projects\.timeSeries\.list"],
    "policyanalyzer.v1": [r"projects\.locations\.activityTypes\.activities\.query"],
    "iap.v1": [rf"({POLICY})"],
    "cloudresourcemanager.v1": [rf"projects\.(get|list|getAncestry|{POLICY})"],
    "cloudresourcemanager.v3": [rf"projects\.(get|list|search|{POLICY})", rf"(folders|organizations)\.({POLICY})"],
    "cloudbilling.v1": [r"projects\.getBillingInfo"],
    "serviceusage.v1": [r"services\.(get|list|enable|batchGet)"],
    "storage.v1": [rf"buckets\.(list|get|{POLICY})", rf"managedFolders\.(list|get|{POLICY})"],
    "bigquery.v2": [r"datasets\.(list|get|patch|update)", rf"(tables|routines)\.({POLICY})"],
    "secretmanager.v1": [rf"projects\.(locations\.|)secrets\.(get|list|{POLICY})"],
    "pubsub.v1": [rf"projects\.(topics|subscriptions)\.(get|list|{POLICY})", rf"projects\.(snapshots|schemas)\.({POLICY})"],
    "cloudkms.v1": [rf"projects\.locations\.keyRings\.(cryptoKeys\.|importJobs\.|)({POLICY})"],
    "spanner.v1": [rf"projects\.instances\.(databases\.|backups\.|)({POLICY})"],
    "artifactregistry.v1": [rf"projects\.locations\.repositories\.({POLICY})"],
    "run.v1": [rf"projects\.locations\.(services|jobs)\.({POLICY})"],
    "run.v2": [rf"projects\.locations\.(services|jobs|workerPools)\.({POLICY})"],
    "cloudfunctions.v1": [rf"projects\.locations\.functions\.({POLICY})"],
    "cloudfunctions.v2": [rf"projects\.locations\.functions\.({POLICY})"],
    "cloudtasks.v2": [rf"projects\.locations\.queues\.({POLICY})"],
    "bigtableadmin.v2": [
        rf"projects\.instances\.(tables\.|tables\.authorizedViews\.|clusters\.backups\.|logicalViews\.|materializedViews\.|)({POLICY})"
    ],
    "dns.v1": [rf"managedZones\.(get|list|{POLICY})"],
    "compute.v1": [r"instanceGroupManagers\.get"],
}
CONTAINERS = ("projects", "folders", "organizations")
DENY = "v2/policies/cloudresourcemanager.googleapis.com/{}/*/denypolicies"
# Paths whose names have several segments, and those of which one location is simulated.
PATHS = {
    "iamv2.policies.listPolicies": [DENY.format(c) for c in CONTAINERS],
    "iamv2.policies.get": [DENY.format(c) + "/*" for c in CONTAINERS],
    "cloudasset.searchAllIamPolicies": [f"v1/{c}/*:searchAllIamPolicies" for c in CONTAINERS],
    "iam.projects.locations.workloadIdentityPools.get": ["v1/projects/*/locations/global/workloadIdentityPools/*"],
    "policyanalyzer.projects.locations.activityTypes.activities.query": [
        "v1/projects/*/locations/global/activityTypes/*/activities:query"
    ],
    # One port has GKE's operations, too: the sandbox tells them apart by their names.
    "gkehub.projects.locations.operations.get": ["v1/projects/*/locations/*/operations/*-hub"],
    **{f"iap.{verb}": [f"v1/projects/*/iap_web/compute/services/*:{verb}"] for verb in POLICY.split("|")},
}
# IAM v3 has no discovery document: from its reference.
V3_METHODS = [
    ("organizations.locations.principalAccessBoundaryPolicies.get", "v3/organizations/*/locations/global/principalAccessBoundaryPolicies/*", "PrincipalAccessBoundaryPolicy"),
    *(
        (f"{c}.locations.policyBindings.searchTargetPolicyBindings", f"v3/{c}/*/locations/global/policyBindings:searchTargetPolicyBindings", "SearchTargetPolicyBindingsResponse")
        for c in CONTAINERS
    ),
]
V3_OF_ALL = {"name": "string", "uid": "string", "etag": "string", "displayName": "string", "annotations": "{string}", "createTime": "string", "updateTime": "string"}
V3_TYPES = {
    "PrincipalAccessBoundaryPolicy": {**V3_OF_ALL, "details": "#iamv3.Details"},
    "Details": {"rules": "[#iamv3.Rule]", "enforcementVersion": "string"},
    "Rule": {"description": "string", "resources": "[string]", "effect": "EFFECT_UNSPECIFIED|ALLOW"},
    "SearchTargetPolicyBindingsResponse": {"policyBindings": "[#iamv3.PolicyBinding]", "nextPageToken": "string"},
    "PolicyBinding": {**V3_OF_ALL, "target": "#iamv3.Target", "policyKind": "POLICY_KIND_UNSPECIFIED|PRINCIPAL_ACCESS_BOUNDARY|ACCESS", "policy": "string", "policyUid": "string", "condition": "#iamv3.Expr"},
    "Target": {"principalSet": "string", "resource": "string"},
    "Expr": {"expression": "string", "title": "string", "description": "string", "location": "string"},
}
# Google's older APIs ignore what they do not know.
LENIENT = ["storage", "bigquery", "compute"]

methods, types = [], {}


def kind(document, api, schema):
    """One word for a field's type: `string`, `int64`, `#api.Type`, `[…]` a list, `{…}` a map, `A|B` an enum."""
    if "$ref" in schema:
        add(document, api, schema["$ref"])
        return f"#{api}.{schema['$ref']}"
    if schema.get("type") == "array":
        return f"[{kind(document, api, schema['items'])}]"
    if schema.get("type") == "object":
        if "properties" in schema:
            name = f"{api}.{len(types)}"
            types[name] = {}
            types[name] = {k: kind(document, api, v) for k, v in schema["properties"].items()}
            return f"#{name}"
        inner = schema.get("additionalProperties")
        return f"{{{kind(document, api, inner) if inner else 'any'}}}"
    if "enum" in schema:
        return "|".join(schema["enum"])
    return schema.get("format") if schema.get("format") in ("int64", "uint64") else schema["type"]


def add(document, api, name):
    key = f"{api}.{name}"
    if key in types:
        return
    types[key] = {}
    schema = document["schemas"][name]
    if "additionalProperties" in schema and "properties" not in schema:
        types[key] = {"*": kind(document, api, schema["additionalProperties"])}
        return
    types[key] = {k: kind(document, api, v) for k, v in schema.get("properties", {}).items()}


def walk(document, api, resource, wanted):
    for method in resource.get("methods", {}).values():
        short = method["id"].split(".", 1)[1]
        if not any(re.fullmatch(w, short) for w in wanted):
            continue
        path = document["servicePath"] + method.get("flatPath", method["path"])
        path = re.sub(r"\{\+?[^}]+\}", "*", path)
        if api == "serviceusage":
            path = path.replace("v1/*/*/", "v1/projects/*/")
        if api == "compute":
            path = "compute/v1/" + path.removeprefix("compute/v1/")
        for path in PATHS.get(f"{api}.{short}", [path]):
            entry = {"id": f"{api}.{short}", "verb": method["httpMethod"], "path": path}
            for part in ("request", "response"):
                if part in method:
                    add(document, api, method[part]["$ref"])
                    entry[part] = f"#{api}.{method[part]['$ref']}"
            methods.append(entry)
    for inner in resource.get("resources", {}).values():
        walk(document, api, inner, wanted)


for file, wanted in APIS.items():
    with open(os.path.join(DOCUMENTS, f"{file}.json"), encoding="utf-8") as opened:
        document = json.load(opened)
    # Two versions of an API have types of their own.
    name, version = file.split(".")
    walk(document, name if name not in ("run", "cloudfunctions", "cloudresourcemanager") and file != "iam.v2" else f"{name}{version}", document, wanted)

for short, path, response in V3_METHODS:
    methods.append({"id": f"iamv3.{short}", "verb": "GET", "path": path, "response": f"#iamv3.{response}"})
types.update({f"iamv3.{name}": fields for name, fields in V3_TYPES.items()})

print('{"lenient":', json.dumps(LENIENT), ',"methods":[')
print(",\n".join(json.dumps(m, separators=(",", ":")) for m in methods))
print('],"types":{')
print(",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in sorted(types.items())))
print("}}")
