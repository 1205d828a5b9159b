# What the tools share. They source it and are then in the project's folder.

here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"

say() {
    printf '%s\n' "$*" >&2
}

# Installs Debian packages, as root or with sudo, and says so.
install() {
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here: please install $* and try again"
        exit 2
    fi
    root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            say "not root, and no sudo here: please install $* and try again"
            exit 2
        fi
        root=sudo
    fi
    say "not found, installing with apt-get: $*"
    $root apt-get update -q >&2
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2
}

# changed LIST FOLDER: whether FOLDER was not yet filled from LIST as it is now.
changed() {
    ! cmp -s "$1" "$2/.installed-from"
}

# filled LIST FOLDER: notes that it was.
filled() {
    cp "$1" "$2/.installed-from"
}
