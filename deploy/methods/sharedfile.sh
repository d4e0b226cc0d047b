# Agents' generic methods for shared files, as shell functions over a relay's API.
# For any POSIX sh; needs curl, openssl, and mktemp, readlink and mv -T of coreutils or busybox. Source it:  . /path/to/sharedfile.sh
#
#   sharedfile_to_node   <target> <file-id> <path> <ttl>   share a file with a node
#   sharedfile_from_node <source> <file-id> <path>         have a file that a node shared with this one
#   sharedfile_from_any  <file-id> <dir>                   have it from every node that shared it, as <dir>/<source>
#
# Each prints result_kept, result_repaired or result_error, and returns 0, 10 or 1.
#
# Settings, from the environment:
#   TREELINE_RELAY      URL below which the API is (default: the policy server's, https://<policy_server.dat>/rudder/relay-api)
#   TREELINE_NODE_ID    id of this node (default: the agent's, in /opt/rudder/etc/uuid.hive)
#   TREELINE_KEY        RSA private key that signs (default: the agent's)
#   TREELINE_PASSPHRASE its passphrase (default: that of all agents)
#   TREELINE_CURL_OPTS  more options for curl, separated by spaces: --cacert, --cert, --key, --pinnedpubkey …
#   TREELINE_HASH       sha512 (default) or sha256

_treeline_settings() {
  if [ -z "${TREELINE_RELAY:-}" ]; then
    if [ -r /var/rudder/cfengine-community/policy_server.dat ]; then
      TREELINE_RELAY="https://$(cat /var/rudder/cfengine-community/policy_server.dat)/rudder/relay-api"
    else
      TREELINE_RELAY=http://127.0.0.1:3030/rudder/relay-api/1
    fi
  fi
  if [ -z "${TREELINE_NODE_ID:-}" ] && [ -r /opt/rudder/etc/uuid.hive ]; then
    TREELINE_NODE_ID=$(cat /opt/rudder/etc/uuid.hive)
  fi
  : "${TREELINE_KEY:=/var/rudder/cfengine-community/ppkeys/localhost.priv}"
  : "${TREELINE_HASH:=sha512}"
}

_treeline_kept() { echo result_kept; return 0; }
_treeline_repaired() { echo result_repaired; return 10; }
_treeline_error() { echo "result_error: $*"; return 1; }

# Whether every argument can stand in a URL and be the name of a file.
_treeline_are_ids() {
  for _id in "$@"; do
    case $_id in
      '' | . | .. | *[!A-Za-z0-9._-]*) return 1 ;;
    esac
  done
}

# curl with the options of the environment. Prints what -w says.
_treeline_curl() {
  # shellcheck disable=SC2086 # several options in one variable
  curl --silent --show-error --globoff --tlsv1.3 ${TREELINE_CURL_OPTS:-} "$@"
}

# The hash of a file, in hex: <algorithm> <path>
_treeline_hash() { openssl dgst "-$1" -r "$2" | cut -d' ' -f1; }

# HEAD: <target> <source> <file-id> <hash>. Prints the status.
_treeline_head() {
  _treeline_curl --head --output /dev/null --write-out '%{http_code}' "$TREELINE_RELAY/shared-files/$1/$2/$3?hash=$4"
}

# openssl with the private key; the passphrase never shows in a list of processes.
_treeline_openssl() {
  _subcommand=$1
  shift
  TREELINE_PASSPHRASE_NOW=${TREELINE_PASSPHRASE:-Cfengine passphrase} \
    openssl "$_subcommand" -passin env:TREELINE_PASSPHRASE_NOW "$@"
}

# Prints the metadata block of a file: <path to read it by>
_treeline_sign() {
  _hash=$(_treeline_hash "$TREELINE_HASH" "$1") || return 1
  _digest=$(_treeline_openssl dgst "-$TREELINE_HASH" -hex -sign "$TREELINE_KEY" "$1") || return 1
  _pubkey=$(_treeline_openssl rsa -in "$TREELINE_KEY" -RSAPublicKey_out -outform DER 2>/dev/null | openssl base64 -A) || return 1
  [ -n "$_hash" ] && [ -n "$_digest" ] && [ -n "$_pubkey" ] || return 1
  _keyid=$(printf %s "$_pubkey" | openssl dgst -sha256 -r | cut -c1-8)
  cat <<METADATA
header=rudder-signature-v1
algorithm=$TREELINE_HASH
digest=${_digest##*= }
hash_value=$_hash
short_pubkey=$_pubkey
hostname=$(uname -n)
keydate=$(date -u '+%Y-%m-%d %H:%M:%S +0000')
keyid=$_keyid
METADATA
}

# Whether a file is newer than it is now, since the clock was set back: <path>
_treeline_is_ahead() {
  _now=$(mktemp) || return 0
  _ahead=$(find "$1" -newer "$_now" 2>/dev/null)
  rm -f "$_now"
  [ -n "$_ahead" ]
}

# Signs again only when the file is newer than its signature: <path> <signature> <path to read the file by>. Sets _block.
_treeline_sign_if_newer() {
  if [ -s "$2" ] && [ ! -L "$2" ] \
    && [ -n "$(find "$2" -newer "$1" 2>/dev/null)" ] && [ -z "$(find "$1" -cnewer "$2" 2>/dev/null)" ] \
    && ! _treeline_is_ahead "$2"; then
    _block=$(cat "$2")
    # Read once, so that what is looked at is what is sent.
    case $_block in header=rudder-signature-v1*"algorithm=$TREELINE_HASH
"*) return 0 ;; esac
  fi
  _block=$(_treeline_sign "$3") && printf '%s\n' "$_block" | _treeline_put "$2" >/dev/null
}

# Whether everyone that _changers names could read, or enter, what is so listed: <mode> <uid> <pattern of modes open to everyone>
_treeline_may_use() {
  # shellcheck disable=SC2254 # it is a pattern
  case $1 in $3) return 0 ;; esac
  for _changer in $_changers; do
    [ "$_changer" = "$2" ] || return 1
  done
}

# Looks at each folder and link on the way to a file: <absolute path>. Adds to _changers who could make it lead elsewhere
# (a uid, or "others"); says on standard output what they could not have reached, or have put there.
_treeline_walk() {
  _rest=${1#/} _at=
  while :; do
    # shellcheck disable=SC2046 # mode, links, uid
    set -- $(ls -ldn "$_at/." 2>/dev/null)
    [ $# -ge 3 ] || { echo "there is no folder $_at"; return 1; }
    case $1 in ?????w* | ????????w*) _is_open=1 ;; *) _is_open=0 ;; esac
    _treeline_may_use "$1" "$3" '?????????[xt]*' || { echo "others could make it lead to the folder ${_at:-/}"; return 1; }
    [ "$3" = 0 ] || _changers="$_changers $3"
    case $_is_open$1 in 0* | 1?????????[tT]*) ;; *) _changers="$_changers others" ;; esac
    _name=${_rest%%/*}
    _at=$_at/$_name
    if [ -L "$_at" ]; then
      # shellcheck disable=SC2046
      set -- $(ls -ldn "$_at")
      [ "$3" = 0 ] && [ -z "$_changers" ] || { echo "$_at is a link that is not root's alone"; return 1; }
    fi
    case $_rest in */*) _rest=${_rest#*/} ;; *) return 0 ;; esac
  done
}

# As root: that the file open as descriptor 9 is one that whoever could make its path lead to it could read as well: <path>.
# What was opened is looked at, so that nothing can take its place. Says on standard output what is wrong.
_treeline_is_shareable() {
  [ "$(id -u)" = 0 ] || return 0
  case $1 in /*) _way=$1 ;; *) _way=$(pwd)/$1 ;; esac
  _changers=
  _treeline_walk "$_way" || return 1
  _real=$(readlink /proc/self/fd/9 2>/dev/null) || _real=$_way
  [ "$_real" = "$_way" ] || _treeline_walk "$_real" || return 1
  # shellcheck disable=SC2046
  set -- $(ls -ldLn "$_bytes")
  # In a folder such as /tmp everyone can make a further name of a file of anyone's.
  [ "$_is_open" = 0 ] || [ "${2:-2}" = 1 ] || _changers="$_changers others"
  _treeline_may_use "${1:-}" "${3:-}" '???????r*' || { echo 'others could make its path lead to it, and it is not open to everyone'; return 1; }
}

# Whether root alone can have put a name into the working folder: <name>
_treeline_is_roots() {
  # shellcheck disable=SC2046 # mode, links, uid
  set -- $(ls -ldn .) -- $(ls -ldn "./$1" 2>/dev/null)
  case $1 in ?????w* | ????????w*) case $1 in ?????????[tT]*) ;; *) return 1 ;; esac ;; esac
  [ "$3" = 0 ] || return 1
  while [ "$1" != -- ]; do shift; done
  [ "${4:-}" = 0 ]
}

# Goes into the folder of a path: <path> [make]; with make, folders that are missing are made. Sets _name. To be called in a
# subshell. What follows is done in that folder, whatever is put in the place of a part of the path. As root no link is
# followed that another user can have put there. Says on standard output what is wrong.
_treeline_enter() {
  _uid=$(id -u) _rest=$1 _links=0
  case $_rest in /*) cd -P / ;; esac
  while :; do
    while [ "${_rest#/}" != "$_rest" ]; do _rest=${_rest#/}; done
    case $_rest in */*) ;; *) break ;; esac
    _step=${_rest%%/*} _rest=${_rest#*/}
    case $_step in
      .) continue ;;
      ..) cd -P .. || return 1; continue ;;
    esac
    # Not the shell's own pwd: some say what they worked out before they went there.
    _here=$(env pwd -P) && _here=${_here%/} || return 1
    if [ "$_uid" = 0 ] && [ -L "./$_step" ]; then
      _treeline_is_roots "$_step" || { echo "$1: $_here/$_step is a link that is not root's alone, and is not followed"; return 1; }
      _links=$((_links + 1))
      [ "$_links" -le 40 ] && _to=$(readlink "./$_step") || { echo "$1: $_here/$_step leads through too many links"; return 1; }
      case $_to in /*) cd -P / ;; esac
      _rest=$_to/$_rest
      continue
    fi
    if [ "${2:-}" = make ] && [ ! -e "./$_step" ] && ! mkdir "./$_step" 2>/dev/null && [ ! -d "./$_step" ]; then
      echo "the folder $_here/$_step cannot be made"
      return 1
    fi
    cd -P "./$_step" 2>/dev/null || { echo "there is no folder $_here/$_step"; return 1; }
    # A link may have taken its place since.
    [ "$_uid" != 0 ] || [ "$(env pwd -P)" = "$_here/$_step" ] || { echo "$1: $_here/$_step was replaced meanwhile"; return 1; }
  done
  _name=$_rest
  case $_name in '' | . | ..) echo "$1 names no file"; return 1 ;; esac
}

# Puts what comes on standard input at a path, at once: <path>. Says on standard output what is wrong.
# It is written in a folder that this user alone may use, so that nobody can put anything in its place, and renamed from there.
_treeline_put() (
  _treeline_enter "$1" || exit 1
  if [ -L "./$_name" ] || { [ -e "./$_name" ] && [ ! -f "./$_name" ]; }; then
    echo "$1 is no regular file; name the file itself"
    exit 1
  fi
  _own=$(mktemp -d ./.treeline.XXXXXX 2>/dev/null) && _own=${_own##*/} || { echo "$1 cannot be written"; exit 1; }
  _here=$(env pwd -P) || exit 1
  cd -P "./$_own" 2>/dev/null || { echo "$1 cannot be written: $_own was replaced meanwhile"; exit 1; }
  # shellcheck disable=SC2046 # mode, links, uid
  set -- "$1" $(ls -ldn .)
  case $2 in drwx--[-S]---*) ;; *) false ;; esac && [ "$4" = "$_uid" ] && [ "$(env pwd -P)" = "${_here%/}/$_own" ] \
    || { echo "$1 cannot be written: $_own was replaced meanwhile"; exit 1; }
  trap 'rm -f ./new; rmdir "../$_own" 2>/dev/null' EXIT
  trap 'exit 1' HUP INT TERM
  cat >./new && mv -fT ./new "../$_name" || { echo "$1 cannot be written"; exit 1; }
)

# The hash of the file at a path: <algorithm> <path>
_treeline_hash_at() (
  _treeline_enter "$2" >/dev/null && _treeline_hash "$1" "./$_name"
)

sharedfile_to_node() {
  [ $# -eq 4 ] || { _treeline_error 'usage: sharedfile_to_node <target> <file-id> <path> <ttl>'; return; }
  _treeline_settings
  _target=$1 _file_id=$2 _path=$3 _signature=$3.sign
  _ttl=$(printf %s "$4" | sed 's/ /%20/g')
  _treeline_are_ids "$_target" "$_file_id" "$TREELINE_NODE_ID" || { _treeline_error "invalid id: $1, $2 or ${TREELINE_NODE_ID:-none}"; return; }
  case $_ttl in *[!A-Za-z0-9%]*) _treeline_error "invalid ttl: $4"; return ;; esac
  [ -f "$_path" ] || { _treeline_error "no such file: $_path"; return; }
  [ -r "$_path" ] || { _treeline_error "$_path cannot be read"; return; }
  _treeline_send_open 9<"$_path"
}

# The rest of it, with the file open as descriptor 9.
_treeline_send_open() {
  # What was opened, where the system shows it: also when another file takes its place.
  [ -r /proc/self/fd/9 ] && _bytes=/proc/self/fd/9 || _bytes=$_path
  _problem=$(_treeline_is_shareable "$_path") || { _treeline_error "$_path is not shared: $_problem"; return; }
  _treeline_sign_if_newer "$_path" "$_signature" "$_bytes" || { _treeline_error "$_path cannot be signed with $TREELINE_KEY"; return; }
  _hash=$(printf '%s\n' "$_block" | sed -n 's/^hash_value=//p')
  _status=$(_treeline_head "$_target" "$TREELINE_NODE_ID" "$_file_id" "$_hash") || { _treeline_error "$TREELINE_RELAY cannot be reached"; return; }
  case $_status in
    200) _treeline_kept; return ;;
    404) ;;
    *) _treeline_error "the relay answers $_status"; return ;;
  esac
  _answer=$({ printf '%s\n\n' "$_block"; cat "$_bytes"; } | _treeline_curl --data-binary @- --request PUT \
    --header 'Content-Type: application/octet-stream' --write-out '\n%{http_code}' \
    "$TREELINE_RELAY/shared-files/$_target/$TREELINE_NODE_ID/$_file_id?ttl=$_ttl") || { _treeline_error 'not sent'; return; }
  case $_answer in
    *2[0-9][0-9] | *3[0-9][0-9]) _treeline_repaired ;;
    *) (_treeline_enter "$_signature" >/dev/null && rm -f "./$_name"); _treeline_error "the relay refuses: $(printf %s "$_answer" | tr '\n' ' ')" ;;
  esac
}

sharedfile_from_node() {
  [ $# -eq 3 ] || { _treeline_error 'usage: sharedfile_from_node <source> <file-id> <path>'; return; }
  _treeline_settings
  _source=$1 _file_id=$2 _path=$3
  _treeline_are_ids "$_source" "$_file_id" "$TREELINE_NODE_ID" || { _treeline_error "invalid id: $1, $2 or ${TREELINE_NODE_ID:-none}"; return; }
  _problem=$(_treeline_enter "$_path") || { _treeline_error "$_problem"; return; }
  if [ -f "$_path" ]; then
    for _algorithm in sha512 sha256; do
      _hash=$(_treeline_hash_at "$_algorithm" "$_path")
      _status=$(_treeline_head "$TREELINE_NODE_ID" "$_source" "$_file_id" "$_hash") || { _treeline_error "$TREELINE_RELAY cannot be reached"; return; }
      [ "$_status" != 200 ] || { _treeline_kept; return; }
    done
  fi
  _own=$(mktemp -d) || { _treeline_error 'no temporary folder can be made'; return; }
  if _problem=$(_treeline_fetch "$_source" "$_file_id" "$_own/file" && _treeline_put "$_path" <"$_own/file"); then
    rm -rf "$_own"
    _treeline_repaired
  else
    rm -rf "$_own"
    _treeline_error "${_problem:-$_path cannot be written}"
  fi
}

sharedfile_from_any() {
  [ $# -eq 2 ] || { _treeline_error 'usage: sharedfile_from_any <file-id> <dir>'; return; }
  _treeline_settings
  _file_id=$1 _dir=$2
  _treeline_are_ids "$_file_id" "$TREELINE_NODE_ID" || { _treeline_error "invalid id: $1 or ${TREELINE_NODE_ID:-none}"; return; }
  _list=$(_treeline_curl --fail "$TREELINE_RELAY/shared-files/$TREELINE_NODE_ID?file_id=$_file_id" 2>&1) || { _treeline_error "$_list"; return; }
  _result=0
  # Ids have no quotes, so that their members can be cut out of the JSON.
  for _one in $(printf %s "$_list" | tr ',{' '\n\n' | sed -n 's/^ *"source" *: *"\([A-Za-z0-9._-]*\)".*/\1/p'); do
    _treeline_are_ids "$_one" || { _result=1; break; }
    _said=$(_treeline_enter "$_dir/$_one" make) || { _result=1; break; }
    _line=$(sharedfile_from_node "$_one" "$_file_id" "$_dir/$_one")
    case $? in
      0) ;;
      10) [ "$_result" = 1 ] || _result=10 ;;
      *) _result=1; _said="$_one: $_line" ;;
    esac
  done
  case $_result in
    0) _treeline_kept ;;
    10) _treeline_repaired ;;
    *) _treeline_error "${_said:-$_dir cannot be written}" ;;
  esac
}

# Downloads and verifies: <source> <file-id> <path>. Says on standard output what is wrong.
_treeline_fetch() {
  _treeline_curl --fail --dump-header "$3.head" --output "$3" \
    "$TREELINE_RELAY/shared-files/$TREELINE_NODE_ID/$1/$2" 2>&1 || return 1
  tr -d '\r' <"$3.head" | sed -n 's/^[Tt]reeline-[Ff]ile-[Mm]etadata: *//p' | openssl base64 -d -A >"$3.block"
  [ -s "$3.block" ] || { echo 'the relay does not say who signed the file'; return 1; }
  _algorithm=$(sed -n 's/^algorithm=//p' "$3.block")
  case $_algorithm in sha1 | sha256 | sha512) ;; *) echo "unknown algorithm: $_algorithm"; return 1 ;; esac
  [ "$(_treeline_hash "$_algorithm" "$3")" = "$(sed -n 's/^hash_value=//p' "$3.block" | tr A-F a-f)" ] \
    || { echo 'the file does not have the hash that was signed'; return 1; }
  sed -n 's/^signed_at=//p' "$3.block" | grep -q . && _is_ed25519=1 || _is_ed25519=0
  sed -n 's/^\(short_\)\{0,1\}pubkey=//p' "$3.block" | openssl base64 -d -A >"$3.key"
  _treeline_unhex "$(sed -n 's/^digest=//p' "$3.block")" >"$3.digest"
  if [ "$_is_ed25519" = 1 ] && openssl pkey -pubin -inform DER -in "$3.key" -noout 2>/dev/null; then
    _treeline_verify_ed25519 "$@"
  else
    openssl rsa -RSAPublicKey_in -inform DER -in "$3.key" -pubout -out "$3.key" 2>/dev/null \
      && openssl dgst "-$_algorithm" -verify "$3.key" -signature "$3.digest" "$3" >/dev/null 2>&1 \
      || { echo 'bad signature'; return 1; }
  fi
}

# The signature is over these lines (see the relay API): <source> <file-id> <path>
_treeline_verify_ed25519() {
  printf '%s\n' treeline-file-v1 "$TREELINE_NODE_ID" "$1" "$2" "$(sed -n 's/^signed_at=//p' "$3.block")" \
    "$_algorithm" "$(sed -n 's/^hash_value=//p' "$3.block" | tr A-F a-f)" >"$3.head"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$3.key" -rawin -in "$3.head" -sigfile "$3.digest" >/dev/null 2>&1 \
    || { echo 'bad signature'; return 1; }
}

# Bytes from hex digits, with what every sh has.
_treeline_unhex() {
  # shellcheck disable=SC2059 # the escapes are the point
  printf "$(printf %s "$1" | sed 's/\([0-9a-fA-F]\{2\}\)/\1 /g' | tr ' ' '\n' | while read -r _byte; do
    [ -z "$_byte" ] || printf '\\%03o' "0x$_byte"
  done)"
}
