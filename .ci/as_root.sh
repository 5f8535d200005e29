# Runs a command as root. To be sourced.
as_root() {
  if [[ $EUID == 0 ]]; then "$@"; else sudo "$@"; fi
}
