# Runs one part of an instance. Constant text: everything that varies is a positional argument.
#
#   $1 lock     held on descriptor 9 by every process of the part, for as long as it lives
#   $2 users    locked (shared) by each process that uses the instance
#   $3 kept     marker file: the instance outlives its users
#   $4 linger   seconds the part waits for another user before it ends
#   $5 root     the Debian root, or "-" for a plain process
#   $6 folder   the part's own folder: /instance inside the root, the working directory of a plain process
#   $7 owner    uid:gid inside the root, "-" for a plain process
#   $8...       the server and its arguments
set -eu
lock=$1 users=$2 kept=$3 linger=$4 root=$5 folder=$6 owner=$7
shift 7

# Whoever asks whether the part lives holds the lock for a moment: hence the timeout.
exec 9>>"$lock"
flock --timeout 5 9 || {
    echo "launch: a process of this part is still alive, it holds $lock" >&2
    exit 75
}

if [ "$root" = - ]; then
    cd "$folder"
    setpriv --pdeathsig KILL "$@" &
else
    # A private mount namespace: nothing here is seen outside, and all of it ends with the last process inside.
    # The root holds no device of the host but these three, and the server cannot write to it.
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
    mount -t proc proc "$root/proc"
    mount --bind /dev/null "$root/dev/null"
    mount --bind /dev/zero "$root/dev/zero"
    mount --bind /dev/urandom "$root/dev/urandom"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
    # A disk that is soon full, for who wants to see that.
    mount -t tmpfs -o "size=64m,mode=0700,uid=${owner%:*},gid=${owner#*:},nosuid,nodev" tmpfs "$root/srv"
    mount --bind "$folder" "$root/instance"
    chroot --userspec="$owner" --groups= "$root" "$@" &
fi
server=$!

# This shell stays above the server: a change of user clears the signal a process gets when its parent dies, so it
# is the shell that dies with `unshare`, and the namespace with the shell.
setpriv --pdeathsig KILL sh "${0%/*}/watch.sh" "$users" "$kept" "$linger" "$server" 9>&- &
watch=$!

status=0
wait "$server" || status=$?
kill -KILL "$watch" 2>/dev/null || true
exit "$status"
