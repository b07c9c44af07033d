// Package txlog reads and writes the transaction log of a Delta table: actions, protocol, snapshots, checkpoints,
// commits and their conflicts. It is the only room that makes data visible, and it knows nothing of SQL.
//
// A table is a folder; its log is `_delta_log/` below it. Each commit is one object, created once and never
// overwritten; a [Snapshot] is what the commits up to one version add up to. Reading is [New], then [Log.Latest] or
// one of its relatives. Writing is [Log.Begin], staging of actions, and [Transaction.Commit], which ends in one of
// three outcomes (see [Outcome]): a lost reply is never taken for a failure, and never for a success.
//
// The rules are those of the public Delta protocol; the pages under docs/ say where we are stricter.
package txlog
