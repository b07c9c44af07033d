// Package lint holds the rules of this repository that a machine can check, as tests over its source.
//
// Each failure prints the rule and its reason, so that whoever breaks one learns why it stands. The rules are few on
// purpose: which room may import which (imports_test.go), and the manners that a reader relies on (manners_test.go).
// Everything that golangci-lint can say is said there, in .golangci.yml.
package lint
