// Package simulation is R3 of the reliability programme: whole lakes in miniature, each run from one seed.
//
// Three to eight writers, readers, a housekeeper (checkpoint, log clean-up, vacuum) and two schedulers of package jobs
// work for several days of a bubble's time on one store, while package sim loses, delays, doubles and throttles their
// calls, stops them for up to a day, and crashes them, to be started again under another name and with another wrong
// clock. What they run is the real code of txlog, jobs and table; data files are a few bytes, since nobody looks inside.
//
// Afterwards a judge compares what each of them was told with every version that was ever created: the log checker of
// package history, a slow replay, what each change was to do with the rows, the slots of the schedule, fsck.
package simulation
