#!/usr/bin/env bash
# A cluster on this machine (kind) with all that the local overlay needs, and its end.
#
#   bash .ci/kind.sh up       cluster, cert-manager, Envoy Gateway, KServe in Standard mode; our images in it
#   bash .ci/kind.sh state    what runs there, and what its pods complain about
#   bash .ci/kind.sh down     no cluster any more
#
# Needs Docker, kind, kubectl and helm, and `make image` before. The versions are those that KServe's own
# release installs itself with.
set -euo pipefail

CLUSTER="${CLUSTER:-marquee}"
KSERVE=v0.21.0
CERT_MANAGER=v1.17.0
ENVOY_GATEWAY=v1.8.1       # brings the Gateway API's definitions along
PROMETHEUS_OPERATOR=v0.85.0  # the definitions alone: PodMonitor and PrometheusRule
GITHUB=https://github.com

export KUBECONFIG="${KUBECONFIG:-$HOME/.kube/config}"
kube() { kubectl --context "kind-$CLUSTER" "$@"; }

up() {
    kind get clusters 2>/dev/null | grep --quiet --line-regexp "$CLUSTER" || kind create cluster --name "$CLUSTER" --wait 3m
    for image in "${SERVING_IMAGE:-marquee-serving:dev}" "${IMAGE:-marquee-python:dev}" \
        "${MONITORING_IMAGE:-marquee-monitoring-python:dev}"; do
        kind load docker-image --name "$CLUSTER" "$image"
    done
    operator="https://raw.githubusercontent.com/prometheus-operator/prometheus-operator/$PROMETHEUS_OPERATOR"
    for kind in podmonitors prometheusrules; do
        kube apply --server-side -f "$operator/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml"
    done
    kube apply -f "$GITHUB/cert-manager/cert-manager/releases/download/$CERT_MANAGER/cert-manager.yaml"
    kube --namespace cert-manager wait deployment --all --for=condition=Available --timeout=5m
    helm --kube-context "kind-$CLUSTER" upgrade --install gateway oci://docker.io/envoyproxy/gateway-helm \
        --version "$ENVOY_GATEWAY" --namespace envoy-gateway-system --create-namespace --wait --timeout 5m
    kserve
    gateway
}

kserve() {
    release="$GITHUB/kserve/kserve/releases/download/$KSERVE"
    kube get namespace kserve >/dev/null 2>&1 || kube create namespace kserve
    kube apply --server-side --force-conflicts -f "$release/kserve.yaml"
    kube --namespace kserve wait deployment --all --for=condition=Available --timeout=5m
    kube apply --server-side --force-conflicts -f "$release/kserve-cluster-resources.yaml"
    kube --namespace kserve patch configmap inferenceservice-config --type=strategic --patch "$(cat <<'YAML'
data:
  deploy: '{"defaultDeploymentMode": "Standard"}'
  ingress: >-
    {"enableGatewayApi": true, "kserveIngressGateway": "kserve/kserve-ingress-gateway",
     "ingressGateway": "knative-serving/knative-ingress-gateway", "ingressDomain": "example.com",
     "ingressClassName": "envoy", "domainTemplate": "{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}",
     "urlScheme": "http", "disableIstioVirtualHost": true}
YAML
)"
    kube --namespace kserve rollout restart deployment kserve-controller-manager
    kube --namespace kserve rollout status deployment kserve-controller-manager --timeout=5m
}

gateway() {
    kube apply -f - <<'YAML'
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: envoy}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: kserve-ingress-gateway, namespace: kserve}
spec:
  gatewayClassName: envoy
  listeners:
    - name: http
      protocol: HTTP
      port: 80
      allowedRoutes: {namespaces: {from: All}}
YAML
}

state() {
    kube get nodes,pods --all-namespaces --output wide
    kube get inferenceservices,httproutes --all-namespaces
    kube --namespace marquee get events --sort-by=.lastTimestamp | tail -n 40
    kube --namespace marquee logs --selector serving.kserve.io/inferenceservice=marquee --all-containers --tail=50 || true
    kube --namespace kserve logs deployment/kserve-controller-manager --tail=50 || true
}

down() { kind delete cluster --name "$CLUSTER"; }

case "${1:-}" in
    up | state | down) "$1" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
