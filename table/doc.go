// Package table is one Delta table as a user of Go sees it: create, scan, append, overwrite, delete, merge, and the
// upkeep around them.
//
// A [Table] pins a snapshot of the log; a [Relation] is what an [Engine] reads of it; a [Change] is files that are
// staged and actions that are planned, and becomes visible in one commit or not at all. Nothing here computes rows:
// the engine does, and nothing here decides who wins: package txlog does (architecture, law 1).
//
//	t, err := table.Open(ctx, store, "silver/orders")
//	res, err := t.Merge(ctx, eng, table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{
//		{When: table.Matched, Do: table.DoUpdate, Star: true},
//		{When: table.NotMatched, Do: table.DoInsert, Star: true},
//	}})
//
// Every write has two forms. Prepare… stages files and returns a [Change], so that a caller can look at the rows
// ([Change.Staged], [Change.After]) before they are visible. The one-step form prepares, commits, and plans again on
// the newest snapshot when another writer made the plan untrue.
package table
