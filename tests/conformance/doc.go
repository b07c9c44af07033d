// Package conformance reads real Delta tables that other engines wrote and compares every row with what a correct
// reader returns. It holds tests only; the tables are not part of this repository (see corpus_test.go).
package conformance
