// Package hostile opens tables that somebody made to do harm, and demands that reading them costs at most a typed
// error: within time and memory, and with nothing touched outside the table (docs/reliability.md, R8).
//
// testdata/hostile/tables.txt lists the tables and what each must end in. Their bytes are built by the functions of
// the same name, always the same, since a file of a gigabyte has no place in a repository. Each table is read in a
// process of its own: what crashes or swells takes nobody with it, and the system counts its memory.
package hostile
