#!/bin/sh
# Puts each secret into a folder of its own, which is a volume that only those who need it see: what .env
# says, and where that is empty 256 random bits, made once and kept. Never prints a secret.
set -eu
umask 022
cd "${1:-/secrets}"

keep() {
  value=$2
  if [ -z "$value" ]; then
    if [ -s "$1" ]; then return; fi
    value=$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')
    how="made"
  elif [ -s "$1" ] && [ "$(cat "$1")" = "$value" ]; then
    return
  else
    how="taken from .env"
  fi
  # Whole or not at all: a start that is cut off leaves no half a secret behind.
  printf '%s\n' "$value" >"$1.new"
  mv "$1.new" "$1"
  echo "$1: $how"
}

keep postgres/password "${POSTGRES_PASSWORD-}"
keep exporter/password "${POSTGRES_EXPORTER_PASSWORD-}"
keep redis/password "${REDIS_PASSWORD-}"
keep admin/token "${ADMIN_TOKEN-}"
keep grafana/password "${GRAFANA_PASSWORD-}"
echo "Every secret is in its place. The operator's token: docker compose exec app cat /secrets/admin/token"
