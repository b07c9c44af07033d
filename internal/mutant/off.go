//go:build !mutants

package mutant

// Possible tells whether a bug can be planted in this program: a constant, so that what depends on it is not compiled.
const Possible = false

// On tells whether a bug is planted. In a product none is.
func On(Name) bool { return false }
