// Package devstack runs a private PostgreSQL server for `sluice dev` and for
// tests, from the binaries this machine has:
//
//	StartPostgres   one server on one folder, reached through a Unix socket only
//	KeepPostgres    the same, started again when it dies
//	Keep            starts any server again when it dies
//	Lock            one program per folder
//
// What it guarantees: the server ends when the program that started it ends,
// kill -9 included (Linux); a folder that a killed program left behind starts
// again, committed work and all; nothing that devstack did not make is removed;
// no other unprivileged user of the machine can connect.
//
// The folder:
//
//	made-by-sluice   the folder is ours; without it a folder with content is refused
//	lock             held by the running program
//	postgres.log     what initdb and the server say
//	data/            the cluster; renamed into place when it is complete
//	run/             the Unix socket, unless the path would be too long for one
package devstack
