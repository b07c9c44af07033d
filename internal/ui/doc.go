// Package ui renders what the command has to say: rows, results, errors and progress, for people and for programs.
//
// One [Terminal] knows where output goes, whether a person watches, and in which form rows are wanted. Data goes to
// its Out, everything else to its Err. The numbers of people ("4 812", "4.1 MB", "1.2 s") are made here and only
// here; programs get bytes, milliseconds and RFC 3339.
package ui
