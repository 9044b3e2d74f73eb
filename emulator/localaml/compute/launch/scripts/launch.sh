# Starts a run's command and leaves its exit code in a file: the record that outlives the emulator.
#
#   $1  control folder: `pid` and `exit` are written there
#   $2  file for the output of the command
#   $3  folder to remove at the end, or empty
#   $4  how to name this UTS namespace: empty (leave its name), `proc`, or the path of hostname(1)
#   $5  the host name
#   $6… the command
#
# No variable is set here: a job's environment may hold any name, and the shell would hand a changed value on.
# The trap lets this shell live through a SIGTERM to the whole run, so that the record gets written; programs that it
# starts have the default action.
trap : TERM INT HUP QUIT
echo $$ >"$1/pid"
case $4 in
'') ;;
proc) echo "$5" >/proc/sys/kernel/hostname ;;
*) "$4" "$5" ;;
esac
run() {
    shift 5
    exec "$@"
}
(run "$@") </dev/null >>"$2" 2>&1
set -- "$?" "$@"
[ -z "$4" ] || rm -rf -- "$4"
echo "$1" >"$2/exit"
