#!/bin/sh
# Runs a command in a network namespace of its own: `sh in_namespace.sh python -m pytest tests/e2e`.
# Inside there are only loopback and 10.99.0.1 (one end of a veth pair: ICE stacks skip loopback),
# so nothing that a test starts can reach anything else, and ports never clash with the machine's.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: sh in_namespace.sh COMMAND [ARGUMENT...]" >&2
    exit 64
fi

if [ "${MONITOR_E2E_NAMESPACE:-}" = inside ]; then
    exec "$@"
fi

if [ "${MONITOR_E2E_NAMESPACE:-}" = setup ]; then
    ip link set lo up
    ip link add v0 type veth peer name v1
    ip addr add 10.99.0.1/24 dev v0
    ip link set v0 up
    ip link set v1 up
    ip route add 224.0.0.0/4 dev v0
    unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy NO_PROXY
    MONITOR_E2E_NAMESPACE=inside
    export MONITOR_E2E_NAMESPACE
    exec "$@"
fi

for tool in unshare ip; do
    if ! command -v "$tool" >/dev/null; then
        echo "in_namespace.sh: '$tool' is missing; install util-linux and iproute2" >&2
        exit 69
    fi
done

# Root needs no user namespace; anybody else becomes root of a new one, where that is allowed.
how=-n
[ "$(id -u)" -eq 0 ] || how=-rn
if ! unshare "$how" sh -c 'ip link add v0 type veth peer name v1' 2>/dev/null; then
    echo "in_namespace.sh: this machine does not let $(id -un) make a network namespace with a" >&2
    echo "veth pair (unshare $how); run it as root, in a container with CAP_SYS_ADMIN and" >&2
    echo "CAP_NET_ADMIN, or allow unprivileged user namespaces" >&2
    exit 77
fi
MONITOR_E2E_NAMESPACE=setup exec unshare "$how" sh "$0" "$@"
