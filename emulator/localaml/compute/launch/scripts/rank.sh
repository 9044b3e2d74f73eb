# Wraps one MPI rank: own control log, own driver log, a sign of life and an exit record.
#
#   $1  control folder: `rank_<n>.pid` and `rank_<n>.exit` are written there
#   $2  folder of the logs
#   $3  folder of shared-memory segments, with one folder for each node; empty where each node has a /dev/shm of its own
#   $4  TMPDIR of the rank, where the run has one of its own; else empty
#   $5… the command
#
# But for these, no variable is set here, as in launch.sh. Nothing of the rank goes through mpirun, which mixes lines up under load.
[ -z "$3" ] || export OMPI_MCA_btl_vader_backing_directory="$3/$LOCALAML_NODE"
[ -z "$4" ] || export TMPDIR="$4"
trap : TERM INT HUP QUIT
echo $$ >"$1/rank_$OMPI_COMM_WORLD_RANK.pid"
echo "This is an MPI job. Rank:$OMPI_COMM_WORLD_RANK" >>"$2/60_control_log_rank_$OMPI_COMM_WORLD_RANK.txt"
run() {
    shift 4
    exec "$@"
}
(run "$@") </dev/null >>"$2/80_driver_log_rank_$OMPI_COMM_WORLD_RANK.txt" 2>&1
set -- "$?" "$@"
echo "$1" >"$2/rank_$OMPI_COMM_WORLD_RANK.exit"
exit "$1"
