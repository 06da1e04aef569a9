#!/usr/bin/env bash
# Run a command that speaks with Kubeflow Pipelines, through a port-forward of its own and with a token of minutes.
#
#   bash .ci/with_kubeflow.sh .venv/bin/marquee pipeline list
#
# The cluster is kubectl's. KUBEFLOW_ACCOUNT (NAMESPACE/NAME, kubeflow/pipeline-runner unless said) is who asks.
set -euo pipefail

account="${KUBEFLOW_ACCOUNT:-kubeflow/pipeline-runner}"
port="${KUBEFLOW_PORT:-8888}"
folder="$(mktemp -d)"
kubectl --namespace kubeflow port-forward service/ml-pipeline "$port:8888" >"$folder/log" 2>&1 &
forward=$!
trap 'kill "$forward" 2>/dev/null || true; rm -rf "$folder"' EXIT

for _ in $(seq 100); do
    if curl --silent --fail --output /dev/null "http://127.0.0.1:$port/apis/v2beta1/healthz"; then ready=1; break; fi
    if ! kill -0 "$forward" 2>/dev/null; then break; fi
    sleep 0.2
done
if [[ -z "${ready:-}" ]]; then
    echo "error: Kubeflow Pipelines does not answer: $(cat "$folder/log")" >&2
    exit 1
fi

(umask 077 && kubectl --namespace "${account%%/*}" create token "${account#*/}" \
    --audience=pipelines.kubeflow.org --duration=15m >"$folder/token")
MARQUEE_KFP_HOST="http://127.0.0.1:$port" MARQUEE_KFP_TOKEN_FILE="$folder/token" "$@"
