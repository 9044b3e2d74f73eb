"""Starting a run's processes, watching and ending them: what every kind of node shares.

launching    a plan turned into a command, an environment and scripts in the run's control folder
job          one run's processes: waiting, ending, losing a node
open_mpi     what mpirun has to be told
role_launch  what the supervisor is told of workers, parameter servers, and ranks without MPI
table        a machine's (or container's) processes: which belong to a run
exits        waiting for the end of processes, children or not
results      exit records turned into a `LaunchResult`
scripts/     the shell that stays with the processes and leaves the records
"""
