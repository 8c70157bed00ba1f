/**
 * Runs in the sandbox before the agent does. Arguments: work tree, branch, object format, start commit or
 * nothing, bytes of the shallow list. Standard input: that list, then the pack. Prints files and bytes.
 */
export const prepareScript = `set -euo pipefail
work=$1 branch=$2 format=$3 start=$4 shallow=$5
umask 022
cd -- "$work"
# What an earlier attempt left.
find . -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +
git init -q --template= --object-format="$format" -b "$branch" .
git config user.name 'Forge agent'
git config user.email agent@forge.invalid
git config gc.auto 0
git config core.fsync none
mkdir -p .git/info
if [ -z "$start" ]; then echo '0 0'; exit 0; fi
if [ "$shallow" -gt 0 ]; then head -c "$shallow" > .git/shallow; fi
git index-pack --stdin > /dev/null
git update-ref "refs/heads/$branch" "$start"
git -c checkout.workers=0 reset -q --hard
git ls-tree -r -l "$start" | awk '{ files++; bytes += $4 } END { printf "%d %d\\n", files, bytes }'
`

/**
 * Runs in the sandbox after the agent did, as the agent's own user: nothing that it finds or prints is
 * trusted. It works in a GIT_DIR of its own, so that a broken or odd .git does not stand in the way.
 * Arguments: work tree, start commit or nothing, object format, \`keep\` or \`rebuild\` (leave the agent's own
 * commits behind). Prints \`TREE TIP\` (\`-\` for no commit) and then a pack, thin against the start.
 */
export const captureScript = `set -uo pipefail
work=$1 start=$2 format=$3 mode=$4
while read -r name; do unset "$name"; done < <(compgen -e GIT_)
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 GIT_NO_REPLACE_OBJECTS=1 LC_ALL=C
neutral() { git -c core.fsmonitor=false -c core.hooksPath=/dev/null -c core.untrackedCache=false -c gc.auto=0 -c advice.addEmbeddedRepo=false "$@"; }
own=$(mktemp -d) || exit 1
trap 'rm -rf -- "$own"' EXIT
cd -- "$work" || exit 1
neutral init -q --bare --template= --object-format="$format" "$own/git" || exit 1
theirs=$work/.git tip=
if [ -d "$theirs/objects" ]; then
  printf '%s\\n' "$theirs/objects" > "$own/git/objects/info/alternates"
  if [ -s "$theirs/shallow" ]; then cp -- "$theirs/shallow" "$own/git/shallow"; fi
  if [ -f "$theirs/info/exclude" ]; then mkdir -p "$own/git/info"; cp -- "$theirs/info/exclude" "$own/git/info/exclude"; fi
  if [ "$mode" = keep ]; then tip=$(neutral --git-dir="$theirs" rev-parse -q --verify 'HEAD^{commit}' 2> /dev/null); fi
fi
export GIT_DIR=$own/git GIT_WORK_TREE=$work
neutral config core.bare false
neutral config core.fsync none
if [ -n "$tip" ] && ! neutral cat-file -e "$tip"; then tip=; fi
if [ -n "$start" ] && ! neutral cat-file -e "$start^{tree}" 2> /dev/null; then start=; fi
stage() { neutral add -A --ignore-errors -- . ; }
fresh() { rm -f -- "$GIT_DIR/index"; if [ -n "$start" ]; then neutral read-tree "$start"; fi; stage; }
seed() {
  [ "$mode" = keep ] && [ -f "$theirs/index" ] && cp -p -- "$theirs/index" "$GIT_DIR/index" || return 1
  # A file that is marked as unchanged or not wanted would stay behind.
  neutral ls-files -v > "$own/listed" && ! LC_ALL=C grep -q '^[a-zS]' "$own/listed"
}
if seed 2> /dev/null; then stage || fresh; else fresh; fi
tree=$(neutral write-tree) || { fresh; tree=$(neutral write-tree); } || exit 1
printf '%s %s\\n' "$tree" "\${tip:--}"
{ echo "$tree"; if [ -n "$tip" ]; then echo "$tip"; fi; if [ -n "$start" ]; then echo "^$start"; fi; } |
  neutral pack-objects --revs --thin --stdout -q --delta-base-offset
`
