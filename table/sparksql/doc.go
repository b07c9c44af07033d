// Package sparksql reads the expressions that Delta tables carry in Spark's SQL (constraints, invariants, generated
// columns, column defaults) and writes them in the SQL of the engine, DuckDB.
//
// Only what means the same in both is translated: each operator and function below is on a list that tests run on the
// engine against values known from Spark with its ANSI rules, the default since Spark 4. Where a value could differ
// for some rows only, the translation raises an error for those rows. Everything else is refused with an [Error] that
// names it: no rule of a table is ever approximated.
package sparksql
