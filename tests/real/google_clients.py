"""What Google's how-to for Workload Identity does, by Google's client libraries. Prints what it saw as JSON."""

import json
import sys

from google.oauth2.credentials import Credentials
from googleapiclient import discovery

endpoint, token = sys.argv[1], sys.argv[2]
credentials = Credentials(token)


def api(name, version):
    return discovery.build(
        name,
        version,
        credentials=credentials,
        client_options={"api_endpoint": endpoint},
        static_discovery=True,
        cache_discovery=False,
    )


seen = {}
parent = "projects/acme-prod/locations/europe-west1"
clusters = api("container", "v1").projects().locations().clusters()
made = clusters.create(
    parent=parent,
    body={
        "cluster": {
            "name": "new",
            "initialNodeCount": 1,
            "workloadIdentityConfig": {"workloadPool": "acme-prod.svc.id.goog"},
        }
    },
).execute()
seen["create"] = made["operationType"]
shown = clusters.get(name=f"{parent}/clusters/new").execute()
seen["pool"] = shown["workloadIdentityConfig"]["workloadPool"]
seen["legacyAbac"] = shown["legacyAbac"]

accounts = api("iam", "v1").projects().serviceAccounts()
account = accounts.create(
    name="projects/acme-prod", body={"accountId": "by-python", "serviceAccount": {"displayName": "x"}}
).execute()
seen["email"] = account["email"]
seen["update"] = accounts.update(name=account["name"], body={"displayName": "y"}).execute()["displayName"]
seen["roles"] = len(api("iam", "v1").roles().list(pageSize=1000).execute()["roles"])

projects = api("cloudresourcemanager", "v3").projects()
seen["search"] = [p["projectId"] for p in projects.search(query="id:acme-prod").execute()["projects"]]
policy = projects.getIamPolicy(
    resource="projects/acme-prod", body={"options": {"requestedPolicyVersion": 3}}
).execute()
policy.setdefault("bindings", []).append({"role": "roles/browser", "members": ["user:ann@example.com"]})
written = projects.setIamPolicy(resource="projects/acme-prod", body={"policy": policy}).execute()
seen["binding"] = written["bindings"][-1]["members"]

services = api("serviceusage", "v1").services()
seen["enabled"] = services.enable(name="projects/acme-prod/services/run.googleapis.com").execute()["done"]

try:
    from google.cloud import container_v1

    client = container_v1.ClusterManagerClient(
        credentials=credentials, transport="rest", client_options={"api_endpoint": endpoint}
    )
    listed = client.list_clusters(parent="projects/acme-prod/locations/-")
    seen["gapic"] = sorted(cluster.name for cluster in listed.clusters)
except (ImportError, KeyError, ValueError) as absent:
    seen["no gapic"] = str(absent)

print(json.dumps(seen))
