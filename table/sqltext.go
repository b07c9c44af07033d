package table

import (
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// The names of relations and columns that our own SQL uses. The prefix keeps them apart from what users write.
const (
	targetRelation  = "lake_target"
	sourceRelation  = "lake_source"
	matchRelation   = "lake_match"
	changedRelation = "lake_changed"
	sourceRowColumn = "_lake_source_row"
)

// targetAlias is what a table is called in the conditions of those who give it no other name.
const targetAlias = "t"

// enclosed puts a user's expression into parentheses; the line break ends a comment that it may end with.
func enclosed(expr string) string { return "(" + expr + "\n)" }

// subquery makes a user's SELECT usable in FROM.
func subquery(sql string) string {
	return enclosed(strings.TrimRight(strings.TrimSpace(sql), "; \t\r\n"))
}

// qualified is a column of an alias.
func qualified(alias, column string) string { return QuoteIdent(alias) + "." + QuoteIdent(column) }

// castTo is expr as a value of type t. A value that does not fit is an error of the engine.
func castTo(expr string, t *txlog.DataType) string {
	name, ok := TypeSQL(t)
	if !ok {
		return expr
	}
	return "CAST(" + expr + " AS " + name + ")"
}

// TypeSQL is the SQL name of t; false where a cast is left to the engine's writer.
func TypeSQL(t *txlog.DataType) (string, bool) {
	name, err := TypeText{}.SQL(t)
	return name, err == nil
}
