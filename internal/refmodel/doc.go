// Package refmodel holds a Delta table as rows in memory, the plainest reading of what the operations of a table mean,
// and drives it beside real tables (reliability, R5). It is made of tests only.
package refmodel
