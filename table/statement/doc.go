// Package statement is SQL over the tables of a lake: one layer for the command, pipelines and Go programs.
//
// A script is cut into statements. MERGE, UPDATE, DELETE, INSERT, CREATE, ALTER, DROP, DESCRIBE, SHOW TABLES, OPTIMIZE,
// VACUUM and RESTORE are read here, and done by package table; every other statement is a query for the engine. The
// expressions in them are the engine's SQL and are handed on as they stand. Nothing is run before the whole script has
// been read.
//
//	lake := &statement.Warehouse{Store: store}
//	session := &statement.Session{Lake: lake, Engine: engine}
//	err := session.Exec(ctx, "UPDATE silver.orders SET status = 'sent' WHERE id = 7", func(o *statement.Outcome) error {
//		fmt.Println(o.Change.RowsUpdated)
//		return nil
//	})
package statement
