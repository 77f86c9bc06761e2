# Ends the server $4 once nobody locks the users' file $1, unless the marker $2 says to keep it; $3 is the linger.
#
# It kills while it holds the users' lock exclusively: a new user either has the lock before (and the server lives on)
# or gets it after (and finds the server dead). Each child dies with this shell, so that nothing is left waiting.
set -eu
users=$1 kept=$2 linger=$3 server=$4

while setpriv --pdeathsig KILL flock --exclusive "$users" true; do
    if [ -e "$kept" ]; then exit 0; fi
    setpriv --pdeathsig KILL sleep "$linger"
    # shellcheck disable=SC2016 # expanded by the inner shell, from its own arguments
    if setpriv --pdeathsig KILL flock --exclusive --nonblock "$users" \
        sh -c '[ -e "$1" ] || kill -KILL "$2"' end "$kept" "$server"; then
        exit 0
    fi
done
