#!/usr/bin/env bash
# In the cluster of .ci/kind.sh: apply the local overlay, train twice, serve the first bundle, ask, give the
# second one a share, ask until both have answered, promote it, and go back.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CLUSTER="${CLUSTER:-marquee}"
DEPLOYMENT=k8s://marquee/marquee
folder="$(mktemp -d)"
forwards=()
trap 'kill "${forwards[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
kube() { kubectl --context "kind-$CLUSTER" --namespace marquee "$@"; }
step() { printf '\n=== %s (%d s)\n' "$*" "$SECONDS"; }

forward() {  # NAMESPACE SERVICE LOCAL REMOTE
    kubectl --context "kind-$CLUSTER" --namespace "$1" port-forward "service/$2" "$3:$4" >>"$folder/forward.log" 2>&1 &
    forwards+=($!)
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$3") 2>/dev/null && return
        sleep 0.2
    done
    echo "error: no port-forward to $2" >&2
    exit 1
}

train() {  # SEED -> prints the bundle's id
    make run RUNARGS="--values smoke --seed $1 --runs $folder/runs" >&2
    .venv/bin/python -c 'import json, sys; print(json.load(open(sys.argv[1]))["bundle_id"])' \
        "$folder/runs/latest/bundle/manifest.json"
}

answer() {  # prints the id of the bundle that answered
    curl --silent --show-error --fail --max-time 10 --header "Host: $host" \
        --header 'Content-Type: application/json' --data '{"instances": [{"n": 5}]}' \
        http://127.0.0.1:8081/v1/models/marquee:predict |
        .venv/bin/python -c 'import json, sys
(found,) = json.load(sys.stdin)["predictions"]
assert len(found["items"]) == 5, found
print(found["bundle_id"])'
}

step "the local overlay"
kubectl --context "kind-$CLUSTER" create namespace marquee --dry-run=client --output yaml | kubectl --context "kind-$CLUSTER" apply -f -
key="$(.venv/bin/python -c 'import secrets; print(secrets.token_hex(16))')"
kube get secret marquee-object-store >/dev/null 2>&1 || kube create secret generic marquee-object-store \
    --from-literal=AWS_ACCESS_KEY_ID=marquee --from-literal=AWS_SECRET_ACCESS_KEY="$key"
kube annotate --overwrite secret marquee-object-store serving.kserve.io/s3-endpoint=object-store:9000 \
    serving.kserve.io/s3-usehttps=0 serving.kserve.io/s3-region=us-east-1 serving.kserve.io/s3-verifyssl=0
kubectl --context "kind-$CLUSTER" apply --server-side -k k8s/overlays/local \
    --selector 'app.kubernetes.io/component!=predictor'  # that is marquee deploy's
kube rollout status statefulset/object-store --timeout=5m
kube wait job/object-store-bucket --for=condition=Complete --timeout=5m
forward marquee object-store 9000 9000

step "two bundles"
AWS_ACCESS_KEY_ID="$(kube get secret marquee-object-store --output jsonpath='{.data.AWS_ACCESS_KEY_ID}' | base64 --decode)"
AWS_SECRET_ACCESS_KEY="$(kube get secret marquee-object-store --output jsonpath='{.data.AWS_SECRET_ACCESS_KEY}' | base64 --decode)"
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION=us-east-1 AWS_ENDPOINT_URL_S3=http://127.0.0.1:9000
export MARQUEE_MODELS=s3://marquee/models
first="$(train 7)"
second="$(train 8)"

step "serve $first"
kubectl kustomize k8s/overlays/local >"$folder/local.yaml"
kubectl config use-context "kind-$CLUSTER"
.venv/bin/marquee deploy apply "$first" --deployment "$DEPLOYMENT" --manifest "$folder/local.yaml"
host="$(kube get inferenceservice marquee --output jsonpath='{.status.url}' | sed 's#^https\?://##')"
service="$(kubectl --context "kind-$CLUSTER" --namespace envoy-gateway-system get service \
    --selector gateway.envoyproxy.io/owning-gateway-name=kserve-ingress-gateway --output jsonpath='{.items[0].metadata.name}')"
forward envoy-gateway-system "$service" 8081 80
test "$(answer)" = "$first"

step "canary $second"
.venv/bin/marquee deploy canary "$second" --deployment "$DEPLOYMENT" --percent 50
for _ in $(seq 60); do answer; done | sort | uniq --count | tee "$folder/split"
grep --quiet "$first" "$folder/split"
grep --quiet "$second" "$folder/split"

step "promote $second"
.venv/bin/marquee deploy promote --deployment "$DEPLOYMENT"
for _ in $(seq 10); do test "$(answer)" = "$second"; done

step "back to $first"
.venv/bin/marquee deploy rollback --deployment "$DEPLOYMENT"
for _ in $(seq 10); do test "$(answer)" = "$first"; done
.venv/bin/marquee deploy status --deployment "$DEPLOYMENT"

step "done"
